package proxy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// spreadOf is a Service with so many endpoints on each node, as node sees it.
func spreadOf(node int, on ...int) []endpoint {
	var out []endpoint
	for i, count := range on {
		for range count {
			ip := netip.AddrFrom4([4]byte{10, 0, byte(len(out) >> 8), byte(len(out))})
			out = append(out, endpoint{addr: netip.AddrPortFrom(ip, 80), node: fmt.Sprint(i), local: i == node, ready: true})
		}
	}
	return out
}

// loads says what each endpoint takes when every node has the same number of callers, 1.
func loads(on ...int) map[netip.AddrPort]float64 {
	out := map[netip.AddrPort]float64{}
	for node := range on {
		eps, w := near(spreadOf(node, on...), nil, config.LocalityWeighted)
		for i, e := range eps {
			share := 1 / float64(len(eps))
			switch local := float64(w.Percent) / 100; {
			case w.Local > 0 && i < w.Local:
				share = local / float64(w.Local)
			case w.Local > 0:
				share = (1 - local) / float64(len(eps)-w.Local)
			}
			out[e.addr] += share
		}
	}
	return out
}

func TestWeights(t *testing.T) {
	for _, tc := range []struct {
		on   []int
		want []Weight // by node
	}{
		{[]int{1, 0, 0}, []Weight{{}, {}, {}}},
		{[]int{2, 0, 0}, []Weight{{}, {}, {}}},
		{[]int{1, 1, 0}, []Weight{{1, 80}, {1, 80}, {}}},
		{[]int{1, 1, 1}, []Weight{{1, 80}, {1, 80}, {1, 80}}},
		{[]int{2, 2, 1}, []Weight{{2, 80}, {2, 80}, {1, 46}}},
		{[]int{3, 1, 1}, []Weight{{3, 80}, {1, 33}, {1, 33}}},
		// Four of five are here as they are: to prefer them would leave them more than the fifth.
		{[]int{4, 1, 0}, []Weight{{}, {}, {}}},
		{[]int{9, 1, 0}, []Weight{{}, {}, {}}},
	} {
		for node, want := range tc.want {
			if got := weigh(spreadOf(node, tc.on...)); got != want {
				t.Errorf("%v, on node %d: %v, want %v", tc.on, node, got, want)
			}
		}
	}
	nobody := append(spreadOf(0, 1, 1), endpoint{addr: at("10.9.9.9:80"), ready: true})
	if got := weigh(nobody); got != (Weight{}) {
		t.Errorf("with an endpoint outside of the cluster: %v, want an even spread", got)
	}
}

// However a Service's endpoints lie, each takes as many connections as the others, but
// for the percents that are rounded away, and no node sends fewer to its own than an even
// spread would, nor more than the bound.
func TestNoEndpointStarvesAndNoneIsOverloaded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, on := range [][]int{{1, 0, 0}, {1, 1, 0}, {2, 0, 0}, {2, 2, 1}, {3, 1, 1}, {3, 2, 0}, {4, 1, 0}, {5, 0, 0}} {
		balanced(t, on)
	}
	for range 300 {
		on := make([]int, 1+rnd.IntN(8))
		for i := range on {
			on[i] = rnd.IntN(7)
		}
		balanced(t, on)
	}
}

func balanced(t *testing.T, on []int) {
	t.Helper()
	n := 0
	for _, count := range on {
		n += count
	}
	even := float64(len(on)) / float64(n)
	for ep, load := range loads(on...) {
		// Each node rounds by less than one percent.
		if off := math.Abs(load - even); off > 0.01*float64(len(on)) {
			t.Errorf("%v: %s takes %.3f, and evenly it would be %.3f", on, ep, load, even)
		}
	}
	for node, count := range on {
		w := weigh(spreadOf(node, on...))
		if w.Local > 0 && (w.Local != count || w.Percent > mostLocal || float64(w.Percent) < 100*float64(count)/float64(n)-1) {
			t.Errorf("%v: node %d keeps %v", on, node, w)
		}
	}
}

func TestLocality(t *testing.T) {
	eps := spreadOf(1, 1, 1, 1)
	for name, tc := range map[string]struct {
		distribution *string
		locality     config.ServiceLocality
		count        int
		want         Weight
	}{
		"by default":                         {nil, "", 3, Weight{1, 80}},
		"weighted":                           {nil, config.LocalityWeighted, 3, Weight{1, 80}},
		"the same node":                      {nil, config.LocalitySameNode, 1, Weight{}},
		"none":                               {nil, config.LocalityNone, 3, Weight{}},
		"what a Service asks for goes first": {ptr(corev1.ServiceTrafficDistributionPreferSameNode), config.LocalityNone, 1, Weight{}},
		"also where it is not exclusive":     {ptr(corev1.ServiceTrafficDistributionPreferSameZone), config.LocalitySameNode, 3, Weight{}},
	} {
		got, w := near(eps, tc.distribution, tc.locality)
		if len(got) != tc.count || w != tc.want || (w.Local > 0 || tc.count == 1) && !got[0].local {
			t.Errorf("%s: %v, %v; want %d, %v", name, got, w, tc.count, tc.want)
		}
	}
}
