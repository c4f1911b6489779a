package services

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// shown are IPAddresses in memory, by name.
type shown struct {
	of      map[string]*networkingv1.IPAddress
	failing error // of Create
}

func newShown(list ...*networkingv1.IPAddress) *shown {
	s := &shown{of: map[string]*networkingv1.IPAddress{}}
	for _, o := range list {
		s.of[o.Name] = o
	}
	return s
}

func (s *shown) Create(_ context.Context, ip netip.Addr, namespace, name string) (bool, error) {
	if s.failing != nil {
		return false, s.failing
	}
	if o := s.of[ip.String()]; o != nil {
		return BelongsTo(o, namespace, name), nil
	}
	s.of[ip.String()] = NewIPAddress(ip, namespace, name)
	return true, nil
}

func (s *shown) Release(_ context.Context, ip netip.Addr, namespace, name string) error {
	if o := s.of[ip.String()]; o != nil && BelongsTo(o, namespace, name) {
		delete(s.of, ip.String())
	}
	return nil
}

func (s *shown) Holder(_ context.Context, ip netip.Addr) (string, error) {
	if o := s.of[ip.String()]; o != nil {
		return "IPAddress " + o.Name, nil
	}
	return "", nil
}

func (s *shown) List(context.Context) (out []networkingv1.IPAddress, _ error) {
	for _, name := range slices.Sorted(maps.Keys(s.of)) {
		out = append(out, *s.of[name])
	}
	return out, nil
}

func (s *shown) Delete(_ context.Context, o *networkingv1.IPAddress) error {
	delete(s.of, o.Name)
	return nil
}

func (s *shown) names() []string { return slices.Sorted(maps.Keys(s.of)) }

// ip is an IPAddress of a Service.
func ip(address, name string, edit ...func(*networkingv1.IPAddress)) *networkingv1.IPAddress {
	o := NewIPAddress(netip.MustParseAddr(address), "team", name)
	for _, e := range edit {
		e(o)
	}
	return o
}

// gateway makes an IPAddress somebody else's.
func gateway(o *networkingv1.IPAddress) {
	o.Spec.ParentRef = &networkingv1.ParentReference{Group: "gateway.networking.k8s.io", Resource: "gateways", Namespace: "team", Name: o.Spec.ParentRef.Name}
	o.Labels = nil
}

func TestAddressesAreShown(t *testing.T) {
	l, o := newMemory(nil), newShown(ip("10.0.0.5", "x", gateway))
	a := allocator(t, l, sequence(t, 4, 3))
	a.ShowAddresses(o)
	s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{port(80, "TCP", 30001)}})
	done, err := a.Allocate(t.Context(), s, nil, false)
	if err != nil || s.Spec.ClusterIP != "10.0.0.4" {
		t.Fatalf("%s, %v", s.Spec.ClusterIP, err)
	}
	made := o.of["10.0.0.4"]
	if made == nil || !BelongsTo(made, "team", "web") || made.Labels[networkingv1.LabelIPAddressFamily] != "IPv4" || made.Labels[networkingv1.LabelManagedBy] != "ipallocator.k8s.io" {
		t.Errorf("%+v", made)
	}
	if want := []string{"ip/10.0.0.4", "port/30001"}; !slices.Equal(l.names(), want) {
		t.Errorf("held %v", l.names())
	}
	if _, err := a.Allocate(t.Context(), service(corev1.ServiceSpec{ClusterIP: "10.0.0.5"}), nil, false); !isInvalid(err, "spec.clusterIPs") {
		t.Errorf("an address of a gateway: %v", err)
	}
	if _, err := a.Allocate(t.Context(), service(corev1.ServiceSpec{ClusterIP: "10.0.0.5"}), nil, true); !isInvalid(err, "spec.clusterIPs") {
		t.Errorf("the same in a dry run: %v", err)
	}
	if err := done(t.Context(), false); err != nil || len(l.held) != 0 || !slices.Equal(o.names(), []string{"10.0.0.5"}) {
		t.Errorf("undone: %v, held %v, shown %v", err, l.names(), o.names())
	}
}

func TestReleaseOfWhatIsShown(t *testing.T) {
	spec := corev1.ServiceSpec{ClusterIP: "10.0.0.2"}
	for what, tt := range map[string]struct {
		held  string
		shown *networkingv1.IPAddress
		kept  bool
	}{
		"its own":                 {ours, ip("10.0.0.2", "web"), false},
		"one of the name is gone": {"team/web/2", ip("10.0.0.2", "web"), true}, // a newer Service of the name has it
		"another's":               {"team/other/9", ip("10.0.0.2", "other"), true},
		"shown as another's":      {ours, ip("10.0.0.2", "other"), true},
	} {
		l, o := newMemory(map[string]string{"ip/10.0.0.2": tt.held}), newShown(tt.shown)
		a := allocator(t, l, sequence(t, 0))
		a.ShowAddresses(o)
		if err := a.Release(t.Context(), service(spec)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if kept := o.of["10.0.0.2"] != nil; kept != tt.kept || (l.held["ip/10.0.0.2"] == "") != (tt.held == ours) {
			t.Errorf("%s: shown %v, held %v", what, o.names(), l.held)
		}
	}
}

func TestWhatCannotBeShownIsNotHeld(t *testing.T) {
	l, o := newMemory(nil), newShown()
	o.failing = errors.New("no answer")
	a := allocator(t, l, sequence(t, 4))
	a.ShowAddresses(o)
	if _, err := a.Allocate(t.Context(), service(corev1.ServiceSpec{}), nil, false); !errors.Is(err, o.failing) || len(l.held) != 0 {
		t.Errorf("%v, held %v", err, l.names())
	}
}

func TestRepairOfWhatIsShown(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	made := func(ago time.Duration) func(*networkingv1.IPAddress) {
		return func(o *networkingv1.IPAddress) { o.CreationTimestamp = metav1.NewTime(now.Add(-ago)) }
	}
	relabelled := func(o *networkingv1.IPAddress) { o.Labels[networkingv1.LabelIPAddressFamily] = "IPv6" }
	for what, tt := range map[string]struct {
		shown []*networkingv1.IPAddress
		want  map[string]string // names by address
	}{
		"they agree":                     {[]*networkingv1.IPAddress{ip("10.0.0.2", "a"), ip("10.0.0.3", "b")}, map[string]string{"10.0.0.2": "a", "10.0.0.3": "b"}},
		"of an earlier release":          {nil, map[string]string{"10.0.0.2": "a", "10.0.0.3": "b"}},
		"one is another Service's":       {[]*networkingv1.IPAddress{ip("10.0.0.2", "c")}, map[string]string{"10.0.0.2": "a", "10.0.0.3": "b"}},
		"one is somebody else's":         {[]*networkingv1.IPAddress{ip("10.0.0.2", "g", gateway)}, map[string]string{"10.0.0.2": "a", "10.0.0.3": "b"}},
		"a label is wrong":               {[]*networkingv1.IPAddress{ip("10.0.0.2", "a", relabelled)}, map[string]string{"10.0.0.2": "a", "10.0.0.3": "b"}},
		"one without its Service":        {[]*networkingv1.IPAddress{ip("10.0.0.4", "c", made(unborn+time.Second))}, map[string]string{"10.0.0.2": "a", "10.0.0.3": "b"}},
		"one whose Service may yet come": {[]*networkingv1.IPAddress{ip("10.0.0.4", "c", made(unborn))}, map[string]string{"10.0.0.2": "a", "10.0.0.3": "b", "10.0.0.4": "c"}},
		"one that no Service wants":      {[]*networkingv1.IPAddress{ip("10.0.0.4", "g", gateway, made(time.Hour))}, map[string]string{"10.0.0.2": "a", "10.0.0.3": "b", "10.0.0.4": "g"}},
	} {
		o := newShown(tt.shown...)
		a := allocator(t, newMemory(nil), sequence(t, 0))
		a.ShowAddresses(o)
		if err := a.repairObjects(t.Context(), listing(named("a", "1", "10.0.0.2", 30001), named("b", "2", "10.0.0.3", 30002)), now, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		got := map[string]string{}
		for address, o := range o.of {
			got[address] = o.Spec.ParentRef.Name
			if len(o.Labels) > 0 && o.Labels[networkingv1.LabelIPAddressFamily] != "IPv4" {
				t.Errorf("%s: labels %v", what, o.Labels)
			}
		}
		if !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// TestTwoOfOneAddress: the one that is shown stays so.
func TestTwoOfOneAddress(t *testing.T) {
	o := newShown(ip("10.0.0.2", "b"))
	a := allocator(t, newMemory(nil), sequence(t, 0))
	a.ShowAddresses(o)
	for range 3 {
		if err := a.repairObjects(t.Context(), listing(named("a", "1", "10.0.0.2", 30001), named("b", "2", "10.0.0.2", 30002)), time.Now(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if got := o.of["10.0.0.2"].Spec.ParentRef.Name; got != "b" {
			t.Errorf("it is %s's", got)
		}
	}
}
