package podcidr

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

func node(name string, cidrs ...string) *corev1.Node {
	n := &corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: cidrs}}
	n.Name = name
	return n
}

// newController is one of a range with four blocks, and the events that it sends.
func newController(t *testing.T) (*Controller, func() string) {
	t.Helper()
	api, events := fake.NewClientset(), record.NewFakeRecorder(10)
	r, err := New(reconcile.Deps{
		Client: api, Informers: informers.NewSharedInformerFactory(api, 0), Events: events, Log: slog.New(slog.DiscardHandler),
		Config: config.ControllerManagerConfig{ClusterCIDRs: addr.MustPrefixes("10.244.0.0/22"), NodeCIDRMaskSize: 24},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, func() string {
		var all []string
		for {
			select {
			case e := <-events.Events:
				all = append(all, e)
			default:
				return strings.Join(all, "\n")
			}
		}
	}
}

func TestACIDRThatWasNotGivenIsToldAndGivenToNobody(t *testing.T) {
	for what, tc := range map[string]struct {
		cidrs []string
		told  string // empty: nothing
		free  int    // blocks left of four, beside that of node a
	}{
		"one of its own":      {[]string{"10.244.1.0/24"}, "", 2},
		"another node's":      {[]string{"10.244.0.0/24"}, "spec.podCIDR 10.244.0.0/24 overlaps another node's", 3},
		"half of another's":   {[]string{"10.244.0.128/25"}, "10.244.0.128/25 overlaps", 3},
		"everything":          {[]string{"0.0.0.0/0"}, "0.0.0.0/0 overlaps", 0},
		"outside":             {[]string{"10.245.0.0/24"}, "outside of the cluster's pod range 10.244.0.0/22", 3},
		"one of each family":  {[]string{"10.244.1.0/24", "fd00::/64"}, "fd00::/64", 2},
		"what is no CIDR":     {[]string{"pods"}, "", 3},
		"a wide one, in part": {[]string{"10.244.2.0/23"}, "", 1},
	} {
		r, told := newController(t)
		r.note(node("a", "10.244.0.0/24"))
		r.note(node("b", tc.cidrs...))
		if got := told(); (got != "") != (tc.told != "") || !strings.Contains(got, tc.told) {
			t.Errorf("%s: told %q, want %q", what, got, tc.told)
		}
		r.note(node("b", tc.cidrs...))
		if got := told(); got != "" {
			t.Errorf("%s: told again: %s", what, got)
		}
		if free := 4 - r.pool.Taken(); free != tc.free {
			t.Errorf("%s: %d blocks are free, want %d", what, free, tc.free)
		}
		// Whoever leaves takes nothing with it that others hold.
		r.freed(node("b"))
		if free := 4 - r.pool.Taken(); free != 3 {
			t.Errorf("%s: after it left %d blocks are free, want 3", what, free)
		}
		for range 3 {
			if p, err := r.take("c"); err != nil || p.Overlaps(netip.MustParsePrefix("10.244.0.0/24")) {
				t.Errorf("%s: a new node is given %s (%v)", what, p, err)
			}
			delete(r.of, "c")
		}
	}
}

// A node that shows another CIDR than it was given does not keep the one that it was.
func TestAnotherCIDRThanTheOneGiven(t *testing.T) {
	r, _ := newController(t)
	given, err := r.take("a")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := r.take("a"); again != given {
		t.Errorf("given %s, and then %s", given, again)
	}
	r.note(node("a", "10.244.3.0/24"))
	if r.pool.Taken() != 1 || r.of["a"][0].String() != "10.244.3.0/24" {
		t.Errorf("%d blocks are taken; it holds %v", r.pool.Taken(), r.of["a"])
	}
	r.give("a")
	if r.pool.Taken() != 0 {
		t.Errorf("%d blocks are taken after it was given back", r.pool.Taken())
	}
}
