package netpol

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// Registers: the kernel's sixteen-byte register 1 is the four-byte ones 8–11, so a
// concatenated key begins at 1 and goes on at 9 and 10.
const (
	reg      = 1
	reg2     = 2 // sixteen bytes as well
	regProto = 9
	regPort  = 10
)

// addHooks makes the chains that packets enter by. Egress comes first: both must let a
// packet pass, and accepting it in one ends that chain alone.
func (t *Table) addHooks() {
	for i, d := range []Direction{Egress, Ingress} {
		chain := t.conn.AddChain(&nftables.Chain{
			Name: d.String(), Table: t.table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward,
			Priority: nftables.ChainPriorityRef(*nftables.ChainPriorityFilter + nftables.ChainPriority(i-2)),
		})
		link, verdicts := expr.MetaKeyIIFNAME, t.egress
		if d == Ingress {
			link, verdicts = expr.MetaKeyOIFNAME, t.ingress
		}
		ofPod := []expr.Any{
			&expr.Meta{Key: link, Register: reg},
			&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte(config.PodLinkPrefix)},
		}
		// Of a connection that was let through, all passes: also answers, and what a
		// policy of later would not have begun.
		state := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
		t.rule(chain,
			&expr.Ct{Register: reg, Key: expr.CtKeySTATE},
			&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: state, Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 4)},
			&expr.Verdict{Kind: expr.VerdictAccept})
		t.rule(chain, append(slices.Clone(ofPod),
			&expr.Lookup{SourceRegister: reg, SetName: t.links.Name, SetID: t.links.ID, Invert: true},
			&expr.Verdict{Kind: expr.VerdictDrop})...)
		// No policy keeps a pod from itself, which it reaches through a Service.
		t.rule(chain,
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg},
			&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: reg2},
			&expr.Lookup{SourceRegister: reg, SetName: t.same.Name, SetID: t.same.ID},
			&expr.Verdict{Kind: expr.VerdictAccept})
		t.rule(chain,
			&expr.Meta{Key: link, Register: reg},
			&expr.Lookup{SourceRegister: reg, SetName: verdicts.Name, SetID: verdicts.ID, IsDestRegSet: true, DestRegister: 0})
	}
}

func (t *Table) rule(c *nftables.Chain, exprs ...expr.Any) {
	t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: c, Exprs: exprs})
}

func (t *Table) addChain(c NamedChain) {
	chain := t.conn.AddChain(&nftables.Chain{Table: t.table, Name: c.Name})
	for _, r := range c.Rules {
		if exprs, ok := t.exprs(c.Direction, r); ok {
			t.rule(chain, exprs...)
		}
	}
}

// exprs are a rule in the kernel's words; false: no packet of this table's family
// matches it.
func (t *Table) exprs(d Direction, r Rule) ([]expr.Any, bool) {
	if r.Block.IsValid() && !r.Block.Addr().Is4() {
		return nil, false
	}
	peer := uint32(12) // where the IPv4 header has it
	if d == Egress {
		peer = 16
	}
	var out []expr.Any
	load := func(offset, register uint32) expr.Any {
		return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
	}
	port := func(register uint32) expr.Any {
		return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
	}
	if r.Set != "" {
		s := t.sets[r.Set]
		out = append(out, load(peer, reg), &expr.Lookup{SourceRegister: reg, SetName: s.Name, SetID: s.ID})
	}
	within := func(p netip.Prefix, op expr.CmpOp) {
		out = append(out, load(peer, reg),
			&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4)},
			&expr.Cmp{Op: op, Register: reg, Data: p.Masked().Addr().AsSlice()})
	}
	if r.Block.IsValid() {
		within(r.Block, expr.CmpOpEq)
		for _, e := range r.Except {
			if e.Addr().Is4() {
				within(e, expr.CmpOpNeq)
			}
		}
	}
	if r.Port.Protocol != 0 {
		out = append(out,
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
			&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte{r.Port.Protocol}})
	}
	if r.Port.First != 0 {
		out = append(out, port(reg),
			&expr.Range{Op: expr.CmpOpEq, Register: reg, FromData: binaryutil.BigEndian.PutUint16(r.Port.First), ToData: binaryutil.BigEndian.PutUint16(r.Port.Last)})
	}
	if r.Named != "" {
		s := t.sets[r.Named]
		out = append(out, load(16, reg), &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regProto}, port(regPort),
			&expr.Lookup{SourceRegister: reg, SetName: s.Name, SetID: s.ID})
	}
	verdict := &expr.Verdict{Kind: expr.VerdictAccept}
	switch {
	case r.Drop:
		verdict = &expr.Verdict{Kind: expr.VerdictDrop}
	case r.Jump != "":
		verdict = &expr.Verdict{Kind: expr.VerdictJump, Chain: r.Jump}
	}
	return append(out, verdict), true
}

// queue adds and removes elements, in messages that are not too long, until one fails.
type queue struct {
	table *Table
	err   error
}

func (q *queue) add(s *nftables.Set, els []nftables.SetElement) {
	q.each(s, els, q.table.conn.SetAddElements)
}

func (q *queue) del(s *nftables.Set, els []nftables.SetElement) {
	q.each(s, els, q.table.conn.SetDeleteElements)
}

func (q *queue) each(s *nftables.Set, els []nftables.SetElement, do func(*nftables.Set, []nftables.SetElement) error) {
	for chunk := range slices.Chunk(els, elementsPerMessage) {
		if err := do(s, chunk); err != nil && q.err == nil {
			q.err = fmt.Errorf("nftables set %s: %w", s.Name, err)
		}
	}
}

func addressElements(ips []netip.Addr) []nftables.SetElement {
	var out []nftables.SetElement
	for _, ip := range ips {
		if ip.Is4() {
			out = append(out, nftables.SetElement{Key: ip.AsSlice()})
		}
	}
	return out
}

// portElements are the concatenations ip . protocol . port, each padded to four bytes.
func portElements(ports []PodPort) []nftables.SetElement {
	var out []nftables.SetElement
	for _, p := range ports {
		if !p.IP.Is4() {
			continue
		}
		key := make([]byte, 12)
		copy(key, p.IP.AsSlice())
		key[4] = p.Protocol
		binary.BigEndian.PutUint16(key[8:], p.Port)
		out = append(out, nftables.SetElement{Key: key})
	}
	return out
}

// linkElements are two sets' and two maps' of links.
func linkElements(links map[string]Chains) (all, same, ingress, egress []nftables.SetElement) {
	for link, chains := range links {
		key := make([]byte, unix.IFNAMSIZ)
		copy(key, link)
		all = append(all, nftables.SetElement{Key: key})
		same = append(same, nftables.SetElement{Key: slices.Concat(key, key)})
		for d, to := range map[Direction]*[]nftables.SetElement{Ingress: &ingress, Egress: &egress} {
			if chains[d] != "" {
				*to = append(*to, nftables.SetElement{Key: key, VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: chains[d]}})
			}
		}
	}
	return all, same, ingress, egress
}
