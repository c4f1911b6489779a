package proxy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// elementsPerMessage keeps a netlink message below the 64 KiB of its length
	// attribute.
	elementsPerMessage = 400
	// socketBuffer holds the answers to a transaction of 10,000 services.
	socketBuffer = 64 << 20
	// affinitySize bounds the clients that are remembered.
	affinitySize = 1 << 18
	// masqueradeMark is set on packets whose source must become the node's.
	masqueradeMark = 0x4000
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

// Table is the node's nftables table: two maps carry all services, and a chain
// exists per number of endpoints (and affinity time), not per service.
//
//	services:  (ip, protocol, port) → goto chain n<count> (m<count> masquerades)
//	endpoints: (ip, protocol, port, random mod count) → (ip, port)
//	refused:   (ip, protocol, port) → reject or drop
//	affinity:  (client, ip, protocol, port) → (ip, port), for Services with session
//	           affinity; the kernel adds entries, and drops them after their time
//	sticky:    (ip, protocol, port, ip, port) of frontends with affinity and their
//	           endpoints: a remembered endpoint that is gone is not in it
//	hairpin:   (ip, ip) of endpoints that reach themselves through a Service
type Table struct {
	conn *nftables.Conn

	table                                 *nftables.Table
	services, endpoints, refused, hairpin *nftables.Set
	affinity, sticky                      *nftables.Set
	chains                                map[string]bool // per-count chains that exist
	// loops counts the frontends behind which an address stands as endpoint.
	loops map[netip.Addr]int
}

// OpenTable opens the netlink socket. Nothing is changed until Replace.
func OpenTable() (*Table, error) {
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		if err := c.SetWriteBuffer(socketBuffer); err != nil {
			return err
		}
		return c.SetReadBuffer(socketBuffer)
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return &Table{conn: conn}, nil
}

// Close closes the socket; the rules stay in force.
func (t *Table) Close() error { return t.conn.CloseLasting() }

// Exists says whether the kernel still has the table as we left it.
func (t *Table) Exists() (bool, error) {
	sets, err := t.conn.GetSets(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: config.ProxyTable})
	if err != nil {
		return false, nil //nolint:nilerr // the kernel answers "no such file" for a missing table
	}
	return len(sets) >= 6, nil
}

// Replace swaps the whole table for one with these rules, in one transaction:
// there is no moment without rules.
func (t *Table) Replace(rules Rules) error {
	t.table = &nftables.Table{Family: nftables.TableFamilyIPv4, Name: config.ProxyTable}
	t.chains, t.loops = map[string]bool{}, map[netip.Addr]int{}
	t.conn.AddTable(t.table) // so that deleting it cannot fail
	t.conn.DelTable(t.table)
	t.conn.AddTable(t.table)
	if err := t.addSets(); err != nil {
		return err
	}
	t.addHooks()
	if err := t.change(Change{Set: rules}, nil); err != nil {
		return err
	}
	return t.flush("replace the whole table")
}

// Apply makes one change in one transaction. have is what the table has now for
// the frontends in c.Set.
func (t *Table) Apply(c Change, have Rules) error {
	if err := t.change(c, have); err != nil {
		return err
	}
	return t.flush(fmt.Sprintf("set %d and remove %d frontends", len(c.Set), len(c.Remove)))
}

func (t *Table) flush(what string) error {
	if err := t.conn.Flush(); err != nil {
		return fmt.Errorf("nftables table %s: %s: %w", config.ProxyTable, what, err)
	}
	return nil
}

func (t *Table) addSets() error {
	key := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)
	t.services = &nftables.Set{Table: t.table, Name: "services", IsMap: true, Concatenation: true, KeyType: key, DataType: nftables.TypeVerdict}
	t.refused = &nftables.Set{Table: t.table, Name: "refused", IsMap: true, Concatenation: true, KeyType: key, DataType: nftables.TypeVerdict}
	t.endpoints = &nftables.Set{Table: t.table, Name: "endpoints", IsMap: true, Concatenation: true,
		KeyType:  nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeMark),
		DataType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)}
	t.hairpin = &nftables.Set{Table: t.table, Name: "hairpin", Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr)}
	t.affinity = &nftables.Set{Table: t.table, Name: "affinity", IsMap: true, Concatenation: true, Dynamic: true, HasTimeout: true, Size: affinitySize,
		KeyType:  nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService),
		DataType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)}
	t.sticky = &nftables.Set{Table: t.table, Name: "sticky", Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeIPAddr, nftables.TypeInetService)}
	for _, s := range []*nftables.Set{t.services, t.refused, t.endpoints, t.hairpin, t.affinity, t.sticky} {
		if err := t.conn.AddSet(s, nil); err != nil {
			return fmt.Errorf("nftables set %s: %w", s.Name, err)
		}
	}
	return nil
}

// addHooks makes the chains that packets enter by.
func (t *Table) addHooks() {
	refuse := t.conn.AddChain(&nftables.Chain{Name: string(reject), Table: t.table})
	t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: refuse, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regKey},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regKey, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Reject{Type: unix.NFT_REJECT_TCP_RST},
	}})
	t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: refuse, Exprs: []expr.Any{
		&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 3}, // port unreachable
	}})

	beforeNAT := nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest - 10)
	for name, hook := range map[string]*nftables.ChainHook{"prerouting": nftables.ChainHookPrerouting, "output": nftables.ChainHookOutput} {
		filter := t.conn.AddChain(&nftables.Chain{Name: "refuse-" + name, Table: t.table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: beforeNAT})
		t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: filter, Exprs: append(loadFrontend(), lookupVerdict(t.refused))})
		nat := t.conn.AddChain(&nftables.Chain{Name: "nat-" + name, Table: t.table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest})
		t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: nat, Exprs: append(loadFrontend(), lookupVerdict(t.services))})
	}

	post := t.conn.AddChain(&nftables.Chain{Name: "nat-postrouting", Table: t.table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	mark := binaryutil.NativeEndian.PutUint32(masqueradeMark)
	t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: post, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey},
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4, Mask: mark, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regKey, Data: mark},
		&expr.Masq{},
	}})
	t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: post, Exprs: []expr.Any{
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Payload{DestRegister: regSecond, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Lookup{SourceRegister: regKey, SetName: t.hairpin.Name, SetID: t.hairpin.ID},
		&expr.Masq{},
	}})
}

// loadFrontend puts a packet's destination, protocol and port into the key.
func loadFrontend() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regKey1},
		&expr.Payload{DestRegister: regKey2, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
}

func lookupVerdict(s *nftables.Set) expr.Any { return lookup(s, regKey, 0) }

// chainFor returns the chain that spreads a backend's connections, making it at
// its first use. Chains are never removed: there are as many as endpoint counts
// and affinity times.
func (t *Table) chainFor(b Backend) string {
	name := fmt.Sprintf("n%d", len(b.Endpoints))
	if b.Masquerade {
		name = fmt.Sprintf("m%d", len(b.Endpoints))
	}
	if b.Affinity > 0 {
		name += fmt.Sprintf("-affinity%d", int(b.Affinity.Seconds()))
	}
	if t.chains[name] {
		return name
	}
	t.chains[name] = true
	chain := t.conn.AddChain(&nftables.Chain{Name: name, Table: t.table})
	rule := func(exprs ...expr.Any) {
		t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: exprs})
	}
	if b.Masquerade {
		mark := binaryutil.NativeEndian.PutUint32(masqueradeMark)
		rule(
			&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey},
			&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4,
				Mask: binaryutil.NativeEndian.PutUint32(^uint32(masqueradeMark)), Xor: mark},
			&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey, SourceRegister: true},
		)
	}
	choose := append(loadFrontend(), &expr.Numgen{Register: regKey3, Modulus: uint32(len(b.Endpoints)), Type: unix.NFT_NG_RANDOM})
	if b.Affinity == 0 {
		rule(append(choose, lookup(t.endpoints, regKey, regAddr), dnat(regAddr, regPort))...)
		return name
	}
	remember := func(endpoint uint32) expr.Any {
		return &expr.Dynset{SetName: t.affinity.Name, SetID: t.affinity.ID, Operation: unix.NFT_DYNSET_OP_UPDATE,
			SrcRegKey: regKey, SrcRegData: endpoint, Timeout: b.Affinity}
	}
	rule(append(loadClient(),
		lookup(t.affinity, regKey, regStickyAddr),
		&expr.Lookup{SourceRegister: regFrontend, SetName: t.sticky.Name, SetID: t.sticky.ID},
		remember(regStickyAddr),
		dnat(regStickyAddr, regStickyPort))...)
	choose = append(choose, lookup(t.endpoints, regKey, regChosen))
	choose = append(choose, loadClient()...)
	rule(append(choose, remember(regChosen), dnat(regChosenAddr, regChosenPort))...)
	return name
}

// loadClient puts a packet's source in front of its frontend's key.
func loadClient() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Payload{DestRegister: regKey1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regKey2},
		&expr.Payload{DestRegister: regKey3, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
}

func lookup(s *nftables.Set, key, value uint32) expr.Any {
	return &expr.Lookup{SourceRegister: key, DestRegister: value, IsDestRegSet: true, SetName: s.Name, SetID: s.ID}
}

func dnat(addr, port uint32) expr.Any {
	return &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: addr, RegProtoMin: port}
}

// change queues the elements of a change. Removal comes first, so that an
// element can be replaced within the transaction.
func (t *Table) change(c Change, have Rules) error {
	remove, add := newElements(t), newElements(t)
	for f, b := range c.Remove {
		remove.frontend(f, b, -1)
	}
	for f, b := range c.Set {
		if old, ok := have[f]; ok {
			remove.frontend(f, old, -1)
		}
		add.frontend(f, b, +1)
	}
	loops := map[netip.Addr]int{}
	for ip, n := range remove.loops {
		loops[ip] += n
	}
	for ip, n := range add.loops {
		loops[ip] += n
	}
	for ip, n := range loops {
		had := t.loops[ip] > 0
		t.loops[ip] += n
		switch has := t.loops[ip] > 0; {
		case has && !had:
			add.sets[t.hairpin] = append(add.sets[t.hairpin], hairpinElement(ip))
		case had && !has:
			remove.sets[t.hairpin] = append(remove.sets[t.hairpin], hairpinElement(ip))
		}
		if t.loops[ip] == 0 {
			delete(t.loops, ip)
		}
	}
	if err := remove.queue(t.conn.SetDeleteElements); err != nil {
		return err
	}
	return add.queue(t.conn.SetAddElements)
}

// elements are map entries to add or to remove, by map.
type elements struct {
	table *Table
	sets  map[*nftables.Set][]nftables.SetElement
	loops map[netip.Addr]int
}

func newElements(t *Table) *elements {
	return &elements{table: t, sets: map[*nftables.Set][]nftables.SetElement{}, loops: map[netip.Addr]int{}}
}

func (e *elements) frontend(f Frontend, b Backend, sign int) {
	t := e.table
	if len(b.Endpoints) == 0 {
		e.add(t.refused, nftables.SetElement{Key: key(f), VerdictData: refusal(b.Refuse)})
		return
	}
	e.add(t.services, nftables.SetElement{Key: key(f),
		VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: t.chainFor(b)}})
	for i, ep := range b.Endpoints {
		e.loops[ep.Addr()] += sign
		if b.Affinity > 0 {
			e.add(t.sticky, nftables.SetElement{Key: slices.Concat(key(f), value(ep))})
		}
		e.add(t.endpoints, nftables.SetElement{Key: append(key(f), binaryutil.NativeEndian.PutUint32(uint32(i))...), Val: value(ep)})
	}
}

func (e *elements) add(s *nftables.Set, el nftables.SetElement) { e.sets[s] = append(e.sets[s], el) }

func (e *elements) queue(f func(*nftables.Set, []nftables.SetElement) error) error {
	for set, els := range e.sets {
		for chunk := range slices.Chunk(els, elementsPerMessage) {
			if err := f(set, chunk); err != nil {
				return fmt.Errorf("nftables map %s: %w", set.Name, err)
			}
		}
	}
	return nil
}

func refusal(r Refusal) *expr.Verdict {
	if r == drop {
		return &expr.Verdict{Kind: expr.VerdictDrop}
	}
	return &expr.Verdict{Kind: expr.VerdictGoto, Chain: string(reject)}
}

var protocols = map[corev1.Protocol]byte{
	corev1.ProtocolTCP: unix.IPPROTO_TCP, corev1.ProtocolUDP: unix.IPPROTO_UDP, corev1.ProtocolSCTP: unix.IPPROTO_SCTP,
}

// key is the concatenation ip . protocol . port, each padded to four bytes.
func key(f Frontend) []byte {
	k := make([]byte, 12, 16)
	copy(k, f.IP.AsSlice())
	k[4] = protocols[f.Protocol]
	binary.BigEndian.PutUint16(k[8:], f.Port)
	return k
}

func value(ep netip.AddrPort) []byte {
	v := make([]byte, 8)
	copy(v, ep.Addr().AsSlice())
	binary.BigEndian.PutUint16(v[4:], ep.Port())
	return v
}

func hairpinElement(ip netip.Addr) nftables.SetElement {
	b := ip.AsSlice()
	return nftables.SetElement{Key: slices.Concat(b, b)}
}
