package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/addr"
)

// Registers: the kernel's sixteen-byte registers 1–4 are the four-byte ones
// 8–23, so a concatenated key begins at 1 and goes on at 9, 10 …
const (
	regKey    = 1
	regKey1   = 9
	regKey2   = 10
	regKey3   = 11
	regAddr   = 1
	regPort   = 9
	regSecond = 9

	// A client's key (client, frontend) fills 8–11, its endpoint follows in 12 and
	// 13: so that frontend and endpoint, 9–13, are one key too.
	regFrontend   = 9
	regStickyAddr = 12
	regStickyPort = 13
	regChosen     = 3
	regChosenAddr = 16
	regChosenPort = 17
)

// use counts an element that leads to a chain, and makes the chain for the first of
// them.
func (t *Table) use(name string, sign int, fill func(*nftables.Chain)) {
	if _, exists := t.chains[name]; !exists {
		fill(t.conn.AddChain(&nftables.Chain{Name: name, Table: t.table}))
	}
	t.chains[name] += sign
}

// removeChains queues the removal of the chains that no element leads to any more.
func (t *Table) removeChains() {
	for name, uses := range t.chains {
		if uses == 0 {
			t.conn.DelChain(&nftables.Chain{Name: name, Table: t.table})
			delete(t.chains, name)
		}
	}
}

// spread is how a chain spreads connections over the endpoints of a plane.
type spread struct {
	endpoints  int
	weight     Weight
	masquerade bool
	affinity   time.Duration
}

func (s spread) name(p plane) string {
	kind := "n"
	if s.masquerade {
		kind = "m"
	}
	name := fmt.Sprintf("%s%s%d", p.prefix, kind, s.endpoints)
	if s.weight.Local > 0 {
		name += fmt.Sprintf("-local%d-%d", s.weight.Local, s.weight.Percent)
	}
	if s.affinity > 0 {
		name += fmt.Sprintf("-affinity%d", int(s.affinity.Seconds()))
	}
	return name
}

// choices are rules' beginnings, tried in order, that put the key of one of the
// frontend's endpoints into the registers. The first may let the rest of them be tried.
func (s spread) choices() [][]expr.Any {
	among := func(from, count int) []expr.Any {
		return append(loadFrontend(), &expr.Numgen{Register: regKey3, Modulus: uint32(count), Offset: uint32(from), Type: unix.NFT_NG_RANDOM})
	}
	local := s.weight.Local
	if local == 0 {
		return [][]expr.Any{among(0, s.endpoints)}
	}
	stays := []expr.Any{
		&expr.Numgen{Register: regKey, Modulus: 100, Type: unix.NFT_NG_RANDOM},
		&expr.Byteorder{SourceRegister: regKey, DestRegister: regKey, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: regKey, Data: binaryutil.BigEndian.PutUint32(uint32(s.weight.Percent))},
	}
	return [][]expr.Any{append(stays, among(0, local)...), among(local, s.endpoints-local)}
}

// spread is the chain that spreads connections so.
func (t *Table) spread(p plane, how spread, sign int) string {
	name := how.name(p)
	t.use(name, sign, func(chain *nftables.Chain) {
		if how.masquerade {
			t.rule(chain, setMark()...)
		}
		if how.affinity == 0 {
			for _, choose := range how.choices() {
				t.rule(chain, append(choose, lookup(p.endpoints, regKey, regAddr), dnat(regAddr, regPort))...)
			}
			return
		}
		remember := func(endpoint uint32) expr.Any {
			return &expr.Dynset{SetName: t.affinity.Name, SetID: t.affinity.ID, Operation: unix.NFT_DYNSET_OP_UPDATE,
				SrcRegKey: regKey, SrcRegData: endpoint, Timeout: how.affinity}
		}
		t.rule(chain, append(loadClient(),
			lookup(t.affinity, regKey, regStickyAddr),
			&expr.Lookup{SourceRegister: regFrontend, SetName: p.sticky.Name, SetID: p.sticky.ID},
			remember(regStickyAddr),
			dnat(regStickyAddr, regStickyPort))...)
		for _, choose := range how.choices() {
			choose = append(choose, lookup(p.endpoints, regKey, regChosen))
			choose = append(choose, loadClient()...)
			t.rule(chain, append(choose, remember(regChosen), dnat(regChosenAddr, regChosenPort))...)
		}
	})
	return name
}

// only is the chain that drops what comes from outside of the ranges.
func (t *Table) only(ranges addr.Prefixes, sign int) string {
	sum := sha256.Sum256([]byte(ranges.String()))
	name := "from-" + hex.EncodeToString(sum[:8])
	t.use(name, sign, func(chain *nftables.Chain) {
		for _, p := range ranges {
			t.rule(chain, append(sourceIn(p.Addr().AsSlice(), net.CIDRMask(p.Bits(), 32)), &expr.Verdict{Kind: expr.VerdictReturn})...)
		}
		t.rule(chain, &expr.Verdict{Kind: expr.VerdictDrop})
	})
	return name
}
