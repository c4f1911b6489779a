package services

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/addr"
)

func TestNew(t *testing.T) {
	tests := []struct {
		name, cidr, ports, reserved, err string
	}{
		{"usual", "10.96.0.0/12", "30000-32767", "10.96.0.1,10.96.0.10", ""},
		{"a CIDR by an address in it", "10.96.0.7/29", "30000-32767", "10.96.0.1", ""},
		{"IPv6", "fd00::/108", "30000-32767", "fd00::1", ""},
		{"one port", "10.96.0.0/12", "30000-30000", "", ""},
		{"all ports", "10.96.0.0/12", "1-65535", "", ""},
		{"no CIDR", "", "30000-32767", "", "service CIDR"},
		{"no range", "10.96.0.0/12", "30000", "", "node port range"},
		{"nothing", "10.96.0.0/12", "", "", "node port range"},
		{"port 0", "10.96.0.0/12", "0-10", "", "node port range"},
		{"backwards", "10.96.0.0/12", "30001-30000", "", "node port range"},
		{"too high", "10.96.0.0/12", "30000-65536", "", "node port range"},
		{"no first", "10.96.0.0/12", "-30000", "", "node port range"},
		{"no last", "10.96.0.0/12", "30000-", "", "node port range"},
		{"words", "10.96.0.0/12", "low-high", "", "node port range"},
		{"two CIDRs", "10.96.0.0/12,fd00::/108", "30000-32767", "", "service CIDR"},
		{"one from elsewhere", "10.96.0.0/12", "30000-32767", "10.112.0.1", "not in the service CIDR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(addr.MustPrefixes(tt.cidr), tt.ports, addr.MustIPs(tt.reserved), newMemory(nil), sequence(t, 0))
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestFirst(t *testing.T) {
	for cidr, want := range map[string]string{"10.96.0.0/12": "10.96.0.1", "10.96.0.9/29": "10.96.0.9", "fd00::/108": "fd00::1"} {
		if got := First(addr.MustPrefixes(cidr)); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %s", cidr, got)
		}
	}
}

func TestKeys(t *testing.T) {
	tests := []struct {
		name string
		spec corev1.ServiceSpec
		want []string
	}{
		{"nothing", corev1.ServiceSpec{}, nil},
		{"an address", corev1.ServiceSpec{ClusterIP: "10.0.0.2"}, []string{"ip/10.0.0.2"}},
		{"an address written at length", corev1.ServiceSpec{ClusterIP: "fd00:0::2"}, []string{"ip/fd00::2"}},
		{"no address", corev1.ServiceSpec{ClusterIP: "None"}, nil},
		{"a name elsewhere has none", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ClusterIP: "10.0.0.2"}, nil},
		{"ports", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: []corev1.ServicePort{port(80, "TCP", 0), port(81, "TCP", 30001), port(82, "TCP", 30002)}},
			[]string{"ip/10.0.0.2", "port/30001", "port/30002"}},
		{"one port of two protocols", corev1.ServiceSpec{Ports: []corev1.ServicePort{port(53, "TCP", 30001), port(53, "UDP", 30001)}}, []string{"port/30001"}},
		{"a health check's", corev1.ServiceSpec{HealthCheckNodePort: 30003}, []string{"port/30003"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			held := keys(service(tt.spec))
			if got := slices.Sorted(maps.Keys(held)); !slices.Equal(got, tt.want) {
				t.Errorf("%v", got)
			}
			for k, ok := range held {
				if !ok {
					t.Errorf("%s is not held", k)
				}
			}
		})
	}
}

// isInvalid reports that the object's writer is told of the field.
func isInvalid(err error, path string) bool {
	var e *field.Error
	return errors.As(err, &e) && e.Type == field.ErrorTypeInvalid && e.Field == path
}

func TestClusterIP(t *testing.T) {
	taken := map[string]string{"ip/10.0.0.2": "team/other/9", "ip/10.0.0.3": "team/other/8"}
	tests := []struct {
		name    string
		spec    corev1.ServiceSpec
		random  []int64
		held    map[string]string
		want    string // the address, or none
		refused bool
	}{
		{"any", corev1.ServiceSpec{}, []int64{4}, nil, "10.0.0.5", false},
		{"the lowest", corev1.ServiceSpec{}, []int64{1}, nil, "10.0.0.2", false},
		{"the highest", corev1.ServiceSpec{}, []int64{5}, nil, "10.0.0.6", false},
		{"not a reserved one", corev1.ServiceSpec{}, []int64{0, 3}, nil, "10.0.0.4", false},
		{"not a taken one", corev1.ServiceSpec{}, []int64{1, 2, 3}, taken, "10.0.0.4", false},
		{"of a type with ports", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort}, []int64{4}, nil, "10.0.0.5", false},
		{"a free one", corev1.ServiceSpec{ClusterIP: "10.0.0.4"}, []int64{0}, taken, "10.0.0.4", false},
		{"a reserved one by name", corev1.ServiceSpec{ClusterIP: "10.0.0.1"}, []int64{0}, nil, "10.0.0.1", false},
		{"a taken one", corev1.ServiceSpec{ClusterIP: "10.0.0.2"}, []int64{0}, taken, "", true},
		{"one that an older service of the name has", corev1.ServiceSpec{ClusterIP: "10.0.0.4"}, []int64{0}, map[string]string{"ip/10.0.0.4": "team/web/0"}, "", true},
		{"above the range", corev1.ServiceSpec{ClusterIP: "10.0.0.8"}, []int64{0}, nil, "", true},
		{"below the range", corev1.ServiceSpec{ClusterIP: "9.255.255.255"}, []int64{0}, nil, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, s := newMemory(tt.held), service(tt.spec)
			done, err := allocator(t, l, sequence(t, tt.random...)).Allocate(t.Context(), s, nil, false)
			if tt.refused {
				if !isInvalid(err, "spec.clusterIPs") || len(l.held) != len(tt.held) {
					t.Errorf("%v, held %v", err, l.names())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Spec.ClusterIP != tt.want || !slices.Equal(s.Spec.ClusterIPs, []string{tt.want}) || !slices.Equal(s.Spec.IPFamilies, []corev1.IPFamily{corev1.IPv4Protocol}) {
				t.Errorf("%+v", s.Spec)
			}
			if l.held["ip/"+tt.want] != ours || len(l.held) != len(tt.held)+1 {
				t.Errorf("held %v", l.held)
			}
			if err := done(t.Context(), true); err != nil || l.held["ip/"+tt.want] != ours {
				t.Errorf("done: %v, held %v", err, l.held)
			}
		})
	}
}

func TestClusterIPNone(t *testing.T) {
	tests := []struct {
		name string
		spec corev1.ServiceSpec
		ips  []string
	}{
		{"headless", corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: corev1.ClusterIPNone}, []string{corev1.ClusterIPNone}},
		{"a name elsewhere", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}, nil},
		// Validation says what is wrong with it.
		{"no address at all", corev1.ServiceSpec{ClusterIP: "ten"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, s := newMemory(nil), service(tt.spec)
			if _, err := allocator(t, l, sequence(t, 1)).Allocate(t.Context(), s, nil, false); err != nil {
				t.Fatal(err)
			}
			if len(l.calls) != 0 || s.Spec.ClusterIP != tt.spec.ClusterIP || !slices.Equal(s.Spec.ClusterIPs, tt.ips) ||
				(s.Spec.IPFamilies != nil) != (tt.spec.Type != corev1.ServiceTypeExternalName) {
				t.Errorf("%+v, %v", s.Spec, l.calls)
			}
		})
	}
}

func TestClusterIPOfTheOtherFamily(t *testing.T) {
	l, s := newMemory(nil), service(corev1.ServiceSpec{ClusterIPs: nil})
	a, err := New(addr.MustPrefixes("fd00::/64"), "30000-30004", nil, l, func(n int64) int64 {
		if n != 1<<20-2-256 {
			t.Errorf("one of %d", n)
		}
		return n - 1
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Allocate(t.Context(), s, nil, false); err != nil || s.Spec.ClusterIP != "fd00::f:fffe" || !slices.Equal(s.Spec.IPFamilies, []corev1.IPFamily{corev1.IPv6Protocol}) {
		t.Errorf("%+v, %v", s.Spec, err)
	}
}

// Every address of the range but the first, the last and the reserved is given,
// each once, whatever the random numbers; then the range is full.
func TestClusterIPsUntilFull(t *testing.T) {
	for start := range int64(6) {
		l := newMemory(nil)
		a := allocator(t, l, sequence(t, start))
		for i := range 5 {
			s := service(corev1.ServiceSpec{})
			s.Name = fmt.Sprint(i)
			if _, err := a.Allocate(t.Context(), s, nil, false); err != nil {
				t.Fatalf("service %d from %d: %v", i, start, err)
			}
		}
		want := []string{"ip/10.0.0.2", "ip/10.0.0.3", "ip/10.0.0.4", "ip/10.0.0.5", "ip/10.0.0.6"}
		if got := l.names(); !slices.Equal(got, want) {
			t.Errorf("from %d: %v", start, got)
		}
		if _, err := a.Allocate(t.Context(), service(corev1.ServiceSpec{}), nil, false); !errors.Is(err, ErrFull) || len(l.held) != 5 {
			t.Errorf("one more from %d: %v, held %v", start, err, l.names())
		}
	}
}

func TestClusterIPsOfSmallRanges(t *testing.T) {
	for cidr, want := range map[string]string{"10.0.0.4/30": "10.0.0.5", "10.0.0.4/31": "", "10.0.0.4/32": ""} {
		s := service(corev1.ServiceSpec{})
		a, err := New(addr.MustPrefixes(cidr), "1-2", nil, newMemory(nil), func(int64) int64 { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Allocate(t.Context(), s, nil, false); s.Spec.ClusterIP != want || errors.Is(err, ErrFull) != (want == "") {
			t.Errorf("%s: %q, %v", cidr, s.Spec.ClusterIP, err)
		}
	}
}

func TestNodePorts(t *testing.T) {
	const tcp, udp = corev1.ProtocolTCP, corev1.ProtocolUDP
	nodePort := func(ports ...corev1.ServicePort) corev1.ServiceSpec {
		return corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "None", Ports: ports}
	}
	balancer := func(allocate *bool, ports ...corev1.ServicePort) corev1.ServiceSpec {
		return corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "None", Ports: ports, AllocateLoadBalancerNodePorts: allocate}
	}
	taken := map[string]string{"port/30000": "team/other/9", "port/30001": "team/other/9"}
	tests := []struct {
		name    string
		spec    corev1.ServiceSpec
		random  []int64
		held    map[string]string
		want    []int32 // the ports' node ports
		refused string  // or the field
	}{
		{"any", nodePort(port(80, tcp, 0)), []int64{2}, nil, []int32{30002}, ""},
		{"the lowest", nodePort(port(80, tcp, 0)), []int64{0}, nil, []int32{30000}, ""},
		{"the highest", nodePort(port(80, tcp, 0)), []int64{4}, nil, []int32{30004}, ""},
		{"not a taken one", nodePort(port(80, tcp, 0)), []int64{0, 1, 2}, taken, []int32{30002}, ""},
		{"one each", nodePort(port(80, tcp, 0), port(443, tcp, 0)), []int64{3, 1}, nil, []int32{30003, 30001}, ""},
		{"not its own again", nodePort(port(80, tcp, 0), port(443, tcp, 0)), []int64{1, 1, 2}, nil, []int32{30001, 30002}, ""},
		{"not one that it names later", nodePort(port(80, tcp, 0), port(443, tcp, 30001)), []int64{1, 2}, nil, []int32{30002, 30001}, ""},
		{"a given one and another", nodePort(port(80, tcp, 30004), port(443, tcp, 0)), []int64{1}, nil, []int32{30004, 30001}, ""},
		{"two protocols of a port", nodePort(port(53, udp, 0), port(53, tcp, 0)), []int64{3, 1}, nil, []int32{30003, 30003}, ""},
		{"two protocols, after another port", nodePort(port(80, tcp, 0), port(53, udp, 0), port(53, tcp, 0)), []int64{3, 1, 2}, nil, []int32{30003, 30001, 30001}, ""},
		{"two protocols of two ports", nodePort(port(53, udp, 0), port(54, tcp, 0)), []int64{3, 1}, nil, []int32{30003, 30001}, ""},
		{"a given one shared", nodePort(port(53, udp, 30002), port(53, tcp, 0)), []int64{1}, nil, []int32{30002, 30002}, ""},
		{"one given twice", nodePort(port(53, udp, 30002), port(53, tcp, 30002)), []int64{1}, nil, []int32{30002, 30002}, ""},
		{"the lowest given", nodePort(port(80, tcp, 30000)), []int64{2}, nil, []int32{30000}, ""},
		{"the highest given", nodePort(port(80, tcp, 30004)), []int64{2}, nil, []int32{30004}, ""},
		{"below the range", nodePort(port(80, tcp, 29999)), []int64{2}, nil, nil, "spec.ports[0].nodePort"},
		{"above the range", nodePort(port(80, tcp, 0), port(81, tcp, 30005)), []int64{2}, nil, nil, "spec.ports[1].nodePort"},
		{"a taken one given", nodePort(port(80, tcp, 30001)), []int64{2}, taken, nil, "spec.ports[0].nodePort"},
		{"no port", nodePort(), []int64{2}, nil, nil, ""},

		{"a balancer's", balancer(nil, port(80, tcp, 0)), []int64{2}, nil, []int32{30002}, ""},
		{"a balancer's that wants them", balancer(ptr.To(true), port(80, tcp, 0)), []int64{2}, nil, []int32{30002}, ""},
		{"a balancer's that wants none", balancer(ptr.To(false), port(80, tcp, 0)), []int64{2}, nil, []int32{0}, ""},
		{"a balancer's that wants one", balancer(ptr.To(false), port(80, tcp, 0), port(443, tcp, 30001)), []int64{2}, nil, []int32{0, 30001}, ""},
		{"an internal service's", corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "None", Ports: []corev1.ServicePort{port(80, tcp, 0)}}, []int64{2}, nil, []int32{0}, ""},
		{"an internal service's that wants none of it", corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "None", AllocateLoadBalancerNodePorts: ptr.To(true), Ports: []corev1.ServicePort{port(80, tcp, 0)}},
			[]int64{2}, nil, []int32{0}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, s := newMemory(tt.held), service(tt.spec)
			_, err := allocator(t, l, sequence(t, tt.random...)).Allocate(t.Context(), s, nil, false)
			if tt.refused != "" {
				if !isInvalid(err, tt.refused) || !maps.Equal(l.held, newMemory(tt.held).held) {
					t.Errorf("%v, held %v", err, l.held)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []int32
			want := newMemory(tt.held).held
			for i, p := range s.Spec.Ports {
				got = append(got, p.NodePort)
				if tt.want[i] != 0 {
					want[portKey(tt.want[i])] = ours
				}
			}
			if !slices.Equal(got, tt.want) || !maps.Equal(l.held, want) || s.Spec.HealthCheckNodePort != 0 {
				t.Errorf("%v, held %v", got, l.held)
			}
		})
	}
}

func TestNodePortsFull(t *testing.T) {
	for free := int32(30000); free <= 30005; free++ {
		l := newMemory(nil)
		for p := int32(30000); p <= 30004; p++ {
			if p != free {
				l.held[portKey(p)] = "team/other/9"
			}
		}
		s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{port(80, "TCP", 0)}})
		_, err := allocator(t, l, sequence(t, 2)).Allocate(t.Context(), s, nil, false)
		if free > 30004 {
			if !errors.Is(err, ErrFull) || s.Spec.Ports[0].NodePort != 0 || len(l.held) != 5 {
				t.Errorf("%d, %v, held %v", s.Spec.Ports[0].NodePort, err, l.names())
			}
			continue
		}
		if err != nil || s.Spec.Ports[0].NodePort != free {
			t.Errorf("%d free: %d, %v", free, s.Spec.Ports[0].NodePort, err)
		}
	}
}

func TestHealthCheckNodePort(t *testing.T) {
	const local, cluster = corev1.ServiceExternalTrafficPolicyLocal, corev1.ServiceExternalTrafficPolicyCluster
	tests := []struct {
		name   string
		kind   corev1.ServiceType
		policy corev1.ServiceExternalTrafficPolicy
		given  int32
		want   int32
		err    bool
	}{
		{"a balancer that keeps sources", corev1.ServiceTypeLoadBalancer, local, 0, 30003, false},
		{"a balancer", corev1.ServiceTypeLoadBalancer, cluster, 0, 0, false},
		{"ports that keep sources", corev1.ServiceTypeNodePort, local, 0, 0, false},
		{"a given one", corev1.ServiceTypeLoadBalancer, local, 30001, 30001, false},
		{"one outside the range", corev1.ServiceTypeLoadBalancer, local, 30005, 0, true},
		{"a taken one", corev1.ServiceTypeLoadBalancer, local, 30000, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newMemory(map[string]string{"port/30000": "team/other/9"})
			s := service(corev1.ServiceSpec{Type: tt.kind, ClusterIP: "None", ExternalTrafficPolicy: tt.policy, HealthCheckNodePort: tt.given, Ports: []corev1.ServicePort{port(80, "TCP", 30002)}})
			_, err := allocator(t, l, sequence(t, 0, 3)).Allocate(t.Context(), s, nil, false)
			if tt.err {
				if !isInvalid(err, "spec.healthCheckNodePort") || len(l.held) != 1 {
					t.Errorf("%v, held %v", err, l.names())
				}
				return
			}
			want := 2
			if tt.want != 0 {
				want = 3
			}
			if err != nil || s.Spec.HealthCheckNodePort != tt.want || len(l.held) != want || tt.want != 0 && l.held[portKey(tt.want)] != ours {
				t.Errorf("%d, %v, held %v", s.Spec.HealthCheckNodePort, err, l.held)
			}
		})
	}
}
