package subsets

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// host tells addresses apart: pods of the host network share one.
type host struct {
	ip  string
	uid types.UID
}

// port is an EndpointPort that can be compared. none stands for an address without ports.
type port struct {
	none        bool
	name        string
	number      int32
	protocol    corev1.Protocol
	hasApp      bool
	appProtocol string
}

// Repack returns the subsets that say the same, each port once and each set of addresses
// once, in an order that depends on nothing but what they say. Where one address of a
// port is both ready and not, it is not. What is returned shares no lists with in.
func Repack(in []corev1.EndpointSubset) []corev1.EndpointSubset {
	known := map[host]corev1.EndpointAddress{}
	ready := map[port]map[host]bool{}
	note := func(ports []port, addresses []corev1.EndpointAddress, is bool) {
		for _, a := range addresses {
			h := hostOf(a)
			if _, ok := known[h]; !ok {
				known[h] = a
			}
			for _, p := range ports {
				if ready[p] == nil {
					ready[p] = map[host]bool{}
				}
				was, seen := ready[p][h]
				ready[p][h] = is && (was || !seen)
			}
		}
	}
	for i := range in {
		ports := portsOf(in[i].Ports)
		note(ports, in[i].Addresses, true)
		note(ports, in[i].NotReadyAddresses, false)
	}

	groups := map[string][]port{}
	for p, hosts := range ready {
		k := signature(hosts)
		groups[k] = append(groups[k], p)
	}
	sorted := make([][]port, 0, len(groups))
	for _, ports := range groups {
		slices.SortFunc(ports, comparePorts)
		sorted = append(sorted, ports)
	}
	// A port is in one group, so the first of each orders them.
	slices.SortFunc(sorted, func(a, b []port) int { return comparePorts(a[0], b[0]) })
	out := make([]corev1.EndpointSubset, 0, len(sorted))
	for _, ports := range sorted {
		var s corev1.EndpointSubset
		for h, is := range ready[ports[0]] {
			if is {
				s.Addresses = append(s.Addresses, known[h])
			} else {
				s.NotReadyAddresses = append(s.NotReadyAddresses, known[h])
			}
		}
		slices.SortFunc(s.Addresses, compareAddresses)
		slices.SortFunc(s.NotReadyAddresses, compareAddresses)
		for _, p := range ports {
			if !p.none {
				s.Ports = append(s.Ports, p.endpointPort())
			}
		}
		out = append(out, s)
	}
	return out
}

func hostOf(a corev1.EndpointAddress) host {
	h := host{ip: a.IP}
	if a.TargetRef != nil {
		h.uid = a.TargetRef.UID
	}
	return h
}

func portsOf(ports []corev1.EndpointPort) []port {
	if len(ports) == 0 {
		return []port{{none: true}}
	}
	out := make([]port, len(ports))
	for i, p := range ports {
		out[i] = port{name: p.Name, number: p.Port, protocol: p.Protocol, hasApp: p.AppProtocol != nil, appProtocol: ptr.Deref(p.AppProtocol, "")}
	}
	return out
}

func (p port) endpointPort() corev1.EndpointPort {
	out := corev1.EndpointPort{Name: p.name, Port: p.number, Protocol: p.protocol}
	if p.hasApp {
		out.AppProtocol = &p.appProtocol
	}
	return out
}

// signature is the same for the same addresses with the same readiness.
func signature(hosts map[host]bool) string {
	texts := make([]string, 0, len(hosts))
	for h, ready := range hosts {
		texts = append(texts, fmt.Sprintf("%s/%s/%t", h.ip, h.uid, ready))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

func comparePorts(a, b port) int {
	// None comes last: beside ports of the same addresses it says nothing.
	return cmp.Or(
		compareFlags(!a.none, !b.none), strings.Compare(a.name, b.name), cmp.Compare(a.number, b.number), strings.Compare(string(a.protocol), string(b.protocol)),
		strings.Compare(a.appProtocol, b.appProtocol), compareFlags(a.hasApp, b.hasApp),
	)
}

func compareFlags(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func compareAddresses(a, b corev1.EndpointAddress) int {
	x, y := hostOf(a), hostOf(b)
	return cmp.Or(strings.Compare(x.ip, y.ip), strings.Compare(string(x.uid), string(y.uid)))
}
