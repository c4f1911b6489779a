package proxy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// elements are map entries to add or to remove, by map.
type elements struct {
	table *Table
	sets  map[*nftables.Set][]nftables.SetElement
	loops map[netip.Addr]int
}

func newElements(t *Table) *elements {
	return &elements{table: t, sets: map[*nftables.Set][]nftables.SetElement{}, loops: map[netip.Addr]int{}}
}

// frontend collects the elements of one; sign is +1 where they are added.
func (e *elements) frontend(f Frontend, b Backend, sign int) {
	t := e.table
	if b.Sources != nil {
		e.add(t.sources, nftables.SetElement{Key: key(f), VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: t.only(b.Sources, sign)}})
	}
	weight := b.Weight
	if len(b.Inside) > 0 {
		e.add(t.inside, nftables.SetElement{Key: key(f)})
		e.plane(t.inner, f, b.Inside, spread{weight: weight, affinity: b.Affinity}, sign)
		weight = Weight{}
	}
	if len(b.Endpoints) == 0 {
		e.add(t.refused, nftables.SetElement{Key: key(f), VerdictData: refusal(b.Refuse)})
		return
	}
	e.plane(t.outer, f, b.Endpoints, spread{weight: weight, masquerade: b.Masquerade, affinity: b.Affinity}, sign)
}

func (e *elements) plane(p plane, f Frontend, endpoints []netip.AddrPort, how spread, sign int) {
	how.endpoints = len(endpoints)
	e.add(p.services, nftables.SetElement{Key: key(f),
		VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: e.table.spread(p, how, sign)}})
	for i, ep := range endpoints {
		e.loops[ep.Addr()] += sign
		if how.affinity > 0 {
			e.add(p.sticky, nftables.SetElement{Key: slices.Concat(key(f), value(ep))})
		}
		e.add(p.endpoints, nftables.SetElement{Key: append(key(f), binaryutil.NativeEndian.PutUint32(uint32(i))...), Val: value(ep)})
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

func protocolNumber(p corev1.Protocol) byte {
	switch p {
	case corev1.ProtocolUDP:
		return unix.IPPROTO_UDP
	case corev1.ProtocolSCTP:
		return unix.IPPROTO_SCTP
	default:
		return unix.IPPROTO_TCP
	}
}

// key is the concatenation ip . protocol . port, each padded to four bytes.
func key(f Frontend) []byte {
	k := make([]byte, 12, 16)
	copy(k, f.IP.AsSlice())
	k[4] = protocolNumber(f.Protocol)
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
