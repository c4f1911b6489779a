package services

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// An update reserves what is new before the write, and releases what is not needed
// any more after it: a write that fails leaves the ledger as it was.
func TestUpdate(t *testing.T) {
	ports := func(list ...int32) []corev1.ServicePort {
		var out []corev1.ServicePort
		for i, p := range list {
			out = append(out, port(int32(80+i), "TCP", p))
		}
		return out
	}
	external := corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: ports(30001, 30002)}
	tests := []struct {
		name     string
		old, new corev1.ServiceSpec
		during   []string // held while it is written
		after    []string // held once it was
	}{
		{"nothing", external, external, []string{"ip/10.0.0.2", "port/30001", "port/30002"}, []string{"ip/10.0.0.2", "port/30001", "port/30002"}},
		{"one port less", external, corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: ports(30001)},
			[]string{"ip/10.0.0.2", "port/30001", "port/30002"}, []string{"ip/10.0.0.2", "port/30001"}},
		{"one port more", external, corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: ports(30001, 30002, 0)},
			[]string{"ip/10.0.0.2", "port/30001", "port/30002", "port/30004"}, []string{"ip/10.0.0.2", "port/30001", "port/30002", "port/30004"}},
		{"another port", external, corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: ports(30001, 30003)},
			[]string{"ip/10.0.0.2", "port/30001", "port/30002", "port/30003"}, []string{"ip/10.0.0.2", "port/30001", "port/30003"}},
		{"internal", external, corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.2", Ports: ports(0, 0)},
			[]string{"ip/10.0.0.2", "port/30001", "port/30002"}, []string{"ip/10.0.0.2"}},
		{"a name elsewhere", external, corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"},
			[]string{"ip/10.0.0.2", "port/30001", "port/30002"}, nil},
		{"a balancer of the same", external, corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.0.0.2", Ports: ports(30001, 30002)},
			[]string{"ip/10.0.0.2", "port/30001", "port/30002"}, []string{"ip/10.0.0.2", "port/30001", "port/30002"}},
		{"from a name elsewhere", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName}, corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}, []string{"ip/10.0.0.5"}, []string{"ip/10.0.0.5"}},
		{"from internal", corev1.ServiceSpec{ClusterIP: "10.0.0.2", Ports: ports(0)}, corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: ports(0)},
			[]string{"ip/10.0.0.2", "port/30004"}, []string{"ip/10.0.0.2", "port/30004"}},
		{"a health check's no more",
			corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, ClusterIP: "10.0.0.2", Ports: ports(30001), HealthCheckNodePort: 30003},
			corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster, ClusterIP: "10.0.0.2", Ports: ports(30001)},
			[]string{"ip/10.0.0.2", "port/30001", "port/30003"}, []string{"ip/10.0.0.2", "port/30001"}},
		{"a health check's still",
			corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, ClusterIP: "10.0.0.2", Ports: ports(30001), HealthCheckNodePort: 30003},
			corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, ClusterIP: "10.0.0.2", Ports: ports(30002), HealthCheckNodePort: 30003},
			[]string{"ip/10.0.0.2", "port/30001", "port/30002", "port/30003"}, []string{"ip/10.0.0.2", "port/30002", "port/30003"}},
		// What is held stays so, even where the range was moved since.
		{"a port of an older range", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: ports(20000)},
			corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: ports(20000)}, []string{"ip/10.0.0.2", "port/20000"}, []string{"ip/10.0.0.2", "port/20000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, written := range []bool{true, false} {
				for _, dryRun := range []bool{false, true} {
					old, s := service(tt.old), service(*tt.new.DeepCopy())
					l := newMemory(nil)
					for k := range keys(old) {
						l.held[k] = ours
					}
					before := l.names()
					during, after := tt.during, tt.after
					if !written {
						after = before
					}
					if dryRun {
						during, after = before, before
					}
					a := allocator(t, l, sequence(t, 4))
					done, err := a.Allocate(t.Context(), s, old, dryRun)
					if err != nil {
						t.Fatal(err)
					}
					if got := l.names(); !slices.Equal(got, during) {
						t.Errorf("written %v, dry run %v: during it %v", written, dryRun, got)
					}
					if err := done(t.Context(), written); err != nil {
						t.Fatal(err)
					}
					if got := l.names(); !slices.Equal(got, after) {
						t.Errorf("written %v, dry run %v: after it %v", written, dryRun, got)
					}
				}
			}
		})
	}
}

func TestUpdateOutsideTheRange(t *testing.T) {
	old := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: []corev1.ServicePort{port(80, "TCP", 20000)}})
	s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: []corev1.ServicePort{port(80, "TCP", 20001)}})
	if _, err := allocator(t, newMemory(nil), sequence(t, 0)).Allocate(t.Context(), s, old, false); !isInvalid(err, "spec.ports[0].nodePort") {
		t.Errorf("%v", err)
	}
}

func TestDryRunOfACreation(t *testing.T) {
	l := newMemory(nil)
	s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, Ports: []corev1.ServicePort{port(80, "TCP", 0)}})
	done, err := allocator(t, l, sequence(t, 3, 2, 1)).Allocate(t.Context(), s, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if s.Spec.ClusterIP != "10.0.0.4" || s.Spec.Ports[0].NodePort != 30002 || s.Spec.HealthCheckNodePort != 30001 {
		t.Errorf("%+v", s.Spec)
	}
	if err := done(t.Context(), true); err != nil || len(l.names()) != 0 || slices.ContainsFunc(l.calls, func(c string) bool { return !strings.HasPrefix(c, "owner ") }) {
		t.Errorf("%v, %v", err, l.calls)
	}
}

// A dry run fails as the write would, and picks what is free.
func TestDryRunOfWhatIsTaken(t *testing.T) {
	l := newMemory(map[string]string{"ip/10.0.0.2": "other/web/9", "port/30001": "other/web/9", "ip/10.0.0.3": ours})
	dry := func(ip string, nodePort int32) (*corev1.Service, error) {
		s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: ip, Ports: []corev1.ServicePort{port(80, "TCP", nodePort)}})
		_, err := allocator(t, l, sequence(t, 1)).Allocate(t.Context(), s, nil, true)
		return s, err
	}
	if _, err := dry("10.0.0.2", 0); !isInvalid(err, "spec.clusterIPs") {
		t.Errorf("an address of another: %v", err)
	}
	if _, err := dry("", 30001); !isInvalid(err, "spec.ports[0].nodePort") {
		t.Errorf("a port of another: %v", err)
	}
	if s, err := dry("10.0.0.3", 0); err != nil || s.Spec.Ports[0].NodePort == 30001 {
		t.Errorf("its own address: %v %+v", err, s.Spec)
	}
}

// A key of one write is reserved once, and given back once.
func TestReservedOnce(t *testing.T) {
	l := newMemory(nil)
	s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "None", Ports: []corev1.ServicePort{port(53, "UDP", 0), port(53, "TCP", 0)}})
	done, err := allocator(t, l, sequence(t, 1)).Allocate(t.Context(), s, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := done(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := done(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if want := []string{"reserve port/30001", "release port/30001"}; !slices.Equal(l.calls, want) {
		t.Errorf("%v", l.calls)
	}
}

// What was reserved for a write that cannot be is given back, even when its client
// is gone; what the ledger says is not put into the words of validation.
func TestUndone(t *testing.T) {
	away := errors.New("no answer")
	tests := []struct {
		name    string
		failing string // call
		calls   []string
	}{
		{"the address", "reserve ip/10.0.0.4", []string{"reserve ip/10.0.0.4"}},
		{"a port", "reserve port/30002", []string{"reserve ip/10.0.0.4", "reserve port/30002", "release ip/10.0.0.4"}},
		{"the second", "reserve port/30001", []string{"reserve ip/10.0.0.4", "reserve port/30002", "reserve port/30001", "release ip/10.0.0.4", "release port/30002"}},
		{"a given one", "reserve port/30003", []string{"reserve ip/10.0.0.4", "reserve port/30002", "reserve port/30001", "reserve port/30003",
			"release ip/10.0.0.4", "release port/30002", "release port/30001"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l := newMemory(nil)
			l.failing = func(call string) error {
				if call == tt.failing {
					cancel()
					return away
				}
				return nil
			}
			s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{port(80, "TCP", 0), port(81, "TCP", 0), port(82, "TCP", 30003)}})
			done, err := allocator(t, l, sequence(t, 3, 2, 1)).Allocate(ctx, s, nil, false)
			if !errors.Is(err, away) || isInvalid(err, "spec.ports[2].nodePort") || done != nil {
				t.Errorf("%v", err)
			}
			if len(l.held) != 0 || !slices.Equal(l.calls, tt.calls) {
				t.Errorf("held %v after %q", l.names(), l.calls)
			}
		})
	}
}

func TestReleaseThatFailsIsTold(t *testing.T) {
	away := errors.New("no answer")
	failing := func(call string) error {
		if strings.HasPrefix(call, "release ") {
			return away
		}
		return nil
	}
	old := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: []corev1.ServicePort{port(80, "TCP", 30001)}})
	l := newMemory(nil)
	l.failing = failing
	a := allocator(t, l, sequence(t, 3))
	for _, written := range []bool{true, false} {
		s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.2", Ports: []corev1.ServicePort{port(80, "TCP", 30002)}})
		done, err := a.Allocate(t.Context(), s, old, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := done(t.Context(), written); !errors.Is(err, away) {
			t.Errorf("written %v: %v", written, err)
		}
	}
	if err := a.Release(t.Context(), old); !errors.Is(err, away) {
		t.Errorf("release: %v", err)
	}
}

func TestRelease(t *testing.T) {
	spec := corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.0.0.2", Ports: []corev1.ServicePort{port(80, "TCP", 30001), port(81, "TCP", 30002)}, HealthCheckNodePort: 30003}
	others := map[string]string{"ip/10.0.0.3": "team/other/9", "port/30004": ours}
	l := newMemory(others)
	a := allocator(t, l, sequence(t, 0))
	for k := range keys(service(spec)) {
		l.held[k] = ours
	}
	l.held["port/30002"] = "team/other/9" // a mistake that repair warns of
	if err := a.Release(t.Context(), service(spec)); err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(others)
	want["port/30002"] = "team/other/9"
	if !maps.Equal(l.held, want) {
		t.Errorf("%v", l.held)
	}
}
