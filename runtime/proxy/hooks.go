package proxy

import (
	"fmt"
	"net"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// addSets makes the table's sets and maps.
func (t *Table) addSets() error {
	key := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)
	target := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	verdicts := func(name string) *nftables.Set {
		return &nftables.Set{Table: t.table, Name: name, IsMap: true, Concatenation: true, KeyType: key, DataType: nftables.TypeVerdict}
	}
	t.refused, t.sources = verdicts("refused"), verdicts("sources")
	t.inside = &nftables.Set{Table: t.table, Name: "inside", Concatenation: true, KeyType: key}
	t.hairpin = &nftables.Set{Table: t.table, Name: "hairpin", Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr)}
	t.affinity = &nftables.Set{Table: t.table, Name: "affinity", IsMap: true, Concatenation: true, Dynamic: true, HasTimeout: true, Size: affinitySize,
		KeyType:  nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService),
		DataType: target}
	all := []*nftables.Set{t.refused, t.sources, t.inside, t.hairpin, t.affinity}
	for prefix, p := range map[string]*plane{"": &t.outer, "inside-": &t.inner} {
		*p = plane{
			prefix: prefix, services: verdicts(prefix + "services"),
			endpoints: &nftables.Set{Table: t.table, Name: prefix + "endpoints", IsMap: true, Concatenation: true, DataType: target,
				KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeMark)},
			sticky: &nftables.Set{Table: t.table, Name: prefix + "sticky", Concatenation: true,
				KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeIPAddr, nftables.TypeInetService)},
		}
		all = append(all, p.services, p.endpoints, p.sticky)
	}
	for _, s := range all {
		if err := t.conn.AddSet(s, nil); err != nil {
			return fmt.Errorf("nftables set %s: %w", s.Name, err)
		}
	}
	return nil
}

// addHooks makes the chains that packets enter by. What a pod or the node itself sends
// is looked up in the inner maps first.
func (t *Table) addHooks() {
	refuse := t.conn.AddChain(&nftables.Chain{Name: string(reject), Table: t.table})
	t.rule(refuse,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regKey},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regKey, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
	t.rule(refuse, &expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 3}) // port unreachable

	beforeNAT := nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest - 10)
	for name, hook := range map[string]*nftables.ChainHook{"prerouting": nftables.ChainHookPrerouting, "output": nftables.ChainHookOutput} {
		var fromInside []expr.Any // what leaves by output does
		if name == "prerouting" {
			fromInside = sourceIn(t.pods.Addr().AsSlice(), net.CIDRMask(t.pods.Bits(), 32))
		}
		filter := t.conn.AddChain(&nftables.Chain{Name: "refuse-" + name, Table: t.table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: beforeNAT})
		t.rule(filter, append(loadFrontend(), lookup(t.sources, regKey, 0))...)
		t.rule(filter, slices.Concat(fromInside, loadFrontend(), []expr.Any{isIn(t.inside), &expr.Verdict{Kind: expr.VerdictAccept}})...)
		t.rule(filter, append(loadFrontend(), lookup(t.refused, regKey, 0))...)

		nat := t.conn.AddChain(&nftables.Chain{Name: "nat-" + name, Table: t.table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest})
		if name == "output" {
			// The node's own address is no pod's, and may not be the one to which the
			// endpoint's node answers.
			t.rule(nat, slices.Concat(loadFrontend(), []expr.Any{isIn(t.inside)}, setMark())...)
		}
		t.rule(nat, slices.Concat(fromInside, loadFrontend(), []expr.Any{lookup(t.inner.services, regKey, 0)})...)
		t.rule(nat, append(loadFrontend(), lookup(t.outer.services, regKey, 0))...)
	}

	post := t.conn.AddChain(&nftables.Chain{Name: "nat-postrouting", Table: t.table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	mark := binaryutil.NativeEndian.PutUint32(masqueradeMark)
	t.rule(post,
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey},
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4, Mask: mark, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regKey, Data: mark},
		&expr.Masq{})
	t.rule(post,
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Payload{DestRegister: regSecond, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		isIn(t.hairpin),
		&expr.Masq{})
}

func (t *Table) rule(c *nftables.Chain, exprs ...expr.Any) {
	t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: c, Exprs: exprs})
}

// sourceIn matches packets whose source is in a prefix.
func sourceIn(ip []byte, mask net.IPMask) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regKey, Data: ip},
	}
}

// setMark marks a packet for masquerading.
func setMark() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey},
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(^uint32(masqueradeMark)), Xor: binaryutil.NativeEndian.PutUint32(masqueradeMark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey, SourceRegister: true},
	}
}

// loadFrontend puts a packet's destination, protocol and port into the key.
func loadFrontend() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regKey1},
		&expr.Payload{DestRegister: regKey2, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
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

// isIn matches packets whose key is in a set.
func isIn(s *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: regKey, SetName: s.Name, SetID: s.ID}
}

func dnat(addr, port uint32) expr.Any {
	return &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: addr, RegProtoMin: port}
}
