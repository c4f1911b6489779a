package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kube-scheduler/framework"
)

// claims is a plugin at all points, as one for volumes is: pods are bound to claims,
// of which each node has some.
type claims struct {
	name   string
	free   map[string]int // by node
	calls  *[]string
	fail   string // the point that fails
	wait   time.Duration
	failAs *framework.Status
}

type claimsState struct{ want int }

func (s *claimsState) Clone() State { return s }

func (c *claims) Name() string { return c.name }

func (c *claims) PreFilter(_ *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	if c.fail == "preFilter" {
		return nil, nil, c.failAs
	}
	if p.Pod.Labels["claims"] == "" {
		return nil, nil, skip()
	}
	return &claimsState{want: len(p.Pod.Labels["claims"])}, sets.KeySet(c.free), nil
}

func (c *claims) Filter(state State, _ *PodInfo, n *NodeInfo) *framework.Status {
	if c.fail == "filter" {
		return c.failAs
	}
	if state.(*claimsState).want > c.free[n.Name()] {
		return framework.NewStatus(framework.UnschedulableAndUnresolvable, "node(s) lack claims")
	}
	return nil
}

func (c *claims) Score(state State, _ *Snapshot, _ *PodInfo, nodes []*NodeInfo, scores []int64) {
	for i, n := range nodes {
		scores[i] = int64(10 * c.free[n.Name()])
	}
}

func (c *claims) at(point string) *framework.Status {
	if c.calls != nil {
		*c.calls = append(*c.calls, c.name+" "+point)
	}
	if c.fail == point {
		return c.failAs
	}
	return nil
}

func (c *claims) Reserve(_ context.Context, state State, _ *PodInfo, node string) *framework.Status {
	if state != nil {
		c.free[node] -= state.(*claimsState).want
	}
	return c.at("reserve")
}

func (c *claims) Unreserve(_ context.Context, state State, _ *PodInfo, node string) {
	if state != nil {
		c.free[node] += state.(*claimsState).want
	}
	_ = c.at("unreserve") // nothing can come of it
}

func (c *claims) Permit(context.Context, State, *PodInfo, string) (*framework.Status, time.Duration) {
	if status := c.at("permit"); status != nil {
		return status, 0
	}
	if c.wait > 0 {
		return framework.NewStatus(framework.Wait), c.wait
	}
	return nil, 0
}

func (c *claims) PreBind(context.Context, State, *PodInfo, string) *framework.Status {
	return c.at("preBind")
}

func TestPluginsKeepTheirState(t *testing.T) {
	cl := &claims{name: "Claims", free: map[string]int{"b": 1, "c": 2}}
	pr := defaultProfile(t, WeightedPlugin{cl, 10})
	s := snapshotOf(t, []*corev1.Node{makeNode("a", "64", "64Gi"), makeNode("b", "4", "4Gi"), makeNode("c", "4", "4Gi")})
	d, err := pr.Schedule(t.Context(), s, compile(t, makePod("p", "", "", labelled("claims", "x"))), firstTie)
	if err != nil || d.Node != "c" || d.Evaluated != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	if status := d.Reserve(t.Context()); status != nil || cl.free["c"] != 1 {
		t.Fatalf("reserved: %v, %v", status, cl.free)
	}
	if wait, status := d.Permit(t.Context()); status != nil || wait != nil {
		t.Fatalf("permit: %v %v", wait, status)
	}
	if status := d.PreBind(t.Context()); status != nil {
		t.Fatal(status)
	}
	_, err = pr.Schedule(t.Context(), s, compile(t, makePod("p", "", "", labelled("claims", "xx"))), firstTie)
	const want = "0/3 nodes are available: 1 node(s) didn't satisfy plugin(s) [Claims], 2 node(s) lack claims." + unhelpful3
	if err == nil || err.Error() != want || !slices.Equal(err.(*FitError).RejectedBy, []string{"Claims"}) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if d, err := pr.Schedule(t.Context(), s, compile(t, makePod("p", "", "")), firstTie); err != nil || d.Evaluated != 3 {
		t.Errorf("a pod without claims: %+v, %v", d, err)
	}
}

func TestPluginsThatFail(t *testing.T) {
	broken := errors.New("broken")
	rejected := framework.NewStatus(framework.Unschedulable, "no")
	for _, tc := range []struct {
		point string
		as    *framework.Status
		want  string
		calls string
	}{
		{"preFilter", rejected, "0/1 nodes are available: no." + unhelpful1, ""},
		{"preFilter", framework.AsStatus(broken), "preFilter of B: broken", ""},
		{"filter", framework.AsStatus(broken), "filter node n by B: broken", ""},
		{"reserve", rejected, "no", "A reserve, B reserve"},
		{"permit", rejected, "no", "A reserve, B reserve, A permit, B permit"},
		{"preBind", framework.AsStatus(broken), "broken", "A reserve, B reserve, A permit, B permit, A preBind, B preBind"},
		{"", nil, "", "A reserve, B reserve, A permit, B permit, A preBind, B preBind"},
	} {
		t.Run(tc.point, func(t *testing.T) {
			var calls []string
			a := &claims{name: "A", calls: &calls, free: map[string]int{"n": 1}}
			b := &claims{name: "B", calls: &calls, free: map[string]int{"n": 1}, fail: tc.point, failAs: tc.as}
			pr := defaultProfile(t, WeightedPlugin{a, 1}, WeightedPlugin{b, 1})
			s := snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi")})
			var status *framework.Status
			d, err := pr.Schedule(t.Context(), s, compile(t, makePod("p", "", "", labelled("claims", "x"))), firstTie)
			if err == nil {
				if status = d.Reserve(t.Context()); status.IsSuccess() {
					_, status = d.Permit(t.Context())
				}
				if status.IsSuccess() {
					status = d.PreBind(t.Context())
				}
				if err = status.AsError(); err != nil && status.Plugin() != "B" {
					t.Errorf("it failed by %q", status.Plugin())
				}
			}
			if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if got := strings.Join(calls, ", "); got != tc.calls {
				t.Errorf("calls: %s\nwant   %s", got, tc.calls)
			}
		})
	}
}

func TestPermitCollectsWhoMustBeWaitedFor(t *testing.T) {
	a := &claims{name: "A", wait: time.Second}
	b := &claims{name: "B"}
	c := &claims{name: "C", wait: time.Minute}
	pr := defaultProfile(t, WeightedPlugin{a, 1}, WeightedPlugin{b, 1}, WeightedPlugin{c, 1})
	d, err := pr.Schedule(t.Context(), snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi")}), compile(t, makePod("p", "", "")), firstTie)
	if err != nil {
		t.Fatal(err)
	}
	wait, status := d.Permit(t.Context())
	if status != nil || len(wait) != 2 || wait["A"] != time.Second || wait["C"] != time.Minute {
		t.Errorf("%v, %v", wait, status)
	}
}

func TestProfilesThatCannotBe(t *testing.T) {
	all := DefaultPlugins(Volumes{}, Devices{})
	byName := func(names ...string) (out []WeightedPlugin) {
		for _, name := range names {
			out = append(out, all[slices.IndexFunc(all, func(p WeightedPlugin) bool { return p.Name() == name })])
		}
		return out
	}
	for _, tc := range []struct {
		points Points
		want   string
	}{
		{Points{}, ""},
		{Points{Filter: byName("NodeUnschedulable", "NodeResourcesFit")}, ""},
		{Points{PreFilter: byName("NodeAffinity"), Filter: byName("NodeAffinity")}, ""},
		{Points{PreFilter: byName("InterPodAffinity"), Score: byName("InterPodAffinity")}, ""},
		{Points{Filter: byName("NodeAffinity")}, "profile x: plugin NodeAffinity filters by what its preFilter finds out: enable or disable both"},
		{Points{Filter: byName("ImageLocality")}, "profile x: plugin ImageLocality does not implement filter"},
		{Points{Reserve: byName("NodePorts")}, "profile x: plugin NodePorts does not implement reserve"},
		{Points{Score: byName("ImageLocality", "ImageLocality")}, "profile x: plugin ImageLocality is enabled twice at score"},
	} {
		_, err := NewProfile("x", 0, tc.points)
		if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}
