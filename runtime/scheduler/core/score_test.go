package core

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func preferring(weight int32, zone string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		if p.Spec.Affinity == nil {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
		}
		terms := &p.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		*terms = append(*terms, corev1.PreferredSchedulingTerm{Weight: weight, Preference: inZone(zone)})
	}
}

// wishing adds a preferred term about pods labelled app.
func wishing(near bool, weight int32, topology, app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		terms := []corev1.WeightedPodAffinityTerm{{Weight: weight, PodAffinityTerm: corev1.PodAffinityTerm{
			TopologyKey: topology, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		}}}
		if p.Spec.Affinity == nil {
			p.Spec.Affinity = &corev1.Affinity{}
		}
		if near {
			p.Spec.Affinity.PodAffinity = &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: terms}
		} else {
			p.Spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: terms}
		}
	}
}

func image(name string, mib int64) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{name}, SizeBytes: mib << 20})
	}
}

// TestScores has the ratings of nodes a, b, … by one plugin alone.
func TestScores(t *testing.T) {
	pod := func(edit ...func(*corev1.Pod)) *corev1.Pod { return makePod("p", "1", "1Gi", edit...) }
	app := func(name string) func(*corev1.Pod) { return labelled("app", name) }
	three := []*corev1.Node{makeNode("a", "4", "4Gi", zone("x")), makeNode("b", "4", "4Gi", zone("x")), makeNode("c", "4", "4Gi", zone("y"))}
	prefer := corev1.TaintEffectPreferNoSchedule
	softHost := spreadOver(corev1.LabelHostname, 1, corev1.ScheduleAnyway)
	softZone := spreadOver(corev1.LabelTopologyZone, 1, corev1.ScheduleAnyway)
	for _, tc := range []struct {
		name   string
		plugin string
		nodes  []*corev1.Node
		pod    *corev1.Pod
		there  []on
		want   []int64
	}{
		{"least allocated", "NodeResourcesFit", []*corev1.Node{makeNode("a", "4", "4Gi"), makeNode("b", "8", "16Gi"), makeNode("c", "4", "4Gi")}, pod(), []on{{"c", makePod("o", "1", "2Gi")}}, []int64{75, 90, 37}},
		{"no room at all", "NodeResourcesFit", []*corev1.Node{makeNode("a", "1", "1Gi"), makeNode("b", "0", "0")}, pod(), nil, []int64{0, 0}},
		{"what asks for nothing counts as 100m and 200Mi", "NodeResourcesFit", []*corev1.Node{makeNode("a", "1", "2000Mi"), makeNode("b", "1", "2000Mi")}, makePod("p", "", ""), []on{{"b", makePod("o", "", "")}}, []int64{90, 80}},

		{"balanced", "NodeResourcesBalancedAllocation", []*corev1.Node{makeNode("a", "4", "4Gi"), makeNode("b", "2", "4Gi"), makeNode("c", "1", "1Gi"), makeNode("d", "0", "1Gi")}, pod(), nil, []int64{100, 87, 100, 0}},
		{"balanced with what is there", "NodeResourcesBalancedAllocation", three, pod(), []on{{"a", makePod("o", "2", "0")}, {"b", makePod("o2", "0", "2Gi")}}, []int64{75, 75, 100}},

		{"images", "ImageLocality", []*corev1.Node{makeNode("a", "4", "4Gi", image("app:latest", 1000)), makeNode("b", "4", "4Gi", image("app:latest", 512)), makeNode("c", "4", "4Gi", image("app:v2", 1000)), makeNode("d", "4", "4Gi", image("app:latest", 23)), makeNode("e", "4", "4Gi", image("app:latest", 3000))}, pod(), nil, []int64{100, 50, 0, 0, 100}},

		{"taints that ask", "TaintToleration", []*corev1.Node{makeNode("a", "4", "4Gi"), makeNode("b", "4", "4Gi", taint("k", "", prefer)), makeNode("c", "4", "4Gi", taint("k", "", prefer), taint("l", "", prefer))}, pod(), nil, []int64{100, 50, 0}},
		{"taints that ask, tolerated", "TaintToleration", []*corev1.Node{makeNode("a", "4", "4Gi"), makeNode("b", "4", "4Gi", taint("k", "", prefer))}, pod(tolerating("k", prefer)), nil, []int64{0, 0}},
		{"other taints", "TaintToleration", []*corev1.Node{makeNode("a", "4", "4Gi"), makeNode("b", "4", "4Gi", taint("k", "", corev1.TaintEffectNoExecute))}, pod(), nil, []int64{0, 0}},

		{"preferred nodes", "NodeAffinity", three, pod(preferring(3, "x"), preferring(1, "y")), nil, []int64{100, 100, 0}},
		{"weights of preferred nodes", "NodeAffinity", append([]*corev1.Node{makeNode("z", "4", "4Gi")}, three...), pod(preferring(4, "x"), preferring(1, "y")), nil, []int64{0, 100, 100, 25}},
		{"no preference", "NodeAffinity", three, pod(), nil, []int64{0, 0, 0}},

		{"near what it likes", "InterPodAffinity", three, pod(wishing(true, 5, corev1.LabelHostname, "b")), []on{{"b", makePod("o", "", "", app("b"))}, {"c", makePod("o2", "", "", app("c"))}}, []int64{0, 100, 0}},
		{"near two that it likes", "InterPodAffinity", three, pod(wishing(true, 5, corev1.LabelTopologyZone, "b")), []on{{"a", makePod("o", "", "", app("b"))}, {"c", makePod("o2", "", "", app("b"))}, {"b", makePod("o3", "", "", app("b"))}}, []int64{100, 100, 0}},
		{"away from what it dislikes", "InterPodAffinity", three, pod(wishing(false, 5, corev1.LabelTopologyZone, "b")), []on{{"a", makePod("o", "", "", app("b"))}}, []int64{0, 0, 100}},
		{"both", "InterPodAffinity", three, pod(wishing(true, 1, corev1.LabelHostname, "b"), wishing(false, 3, corev1.LabelHostname, "c")), []on{{"a", makePod("o", "", "", app("b"))}, {"b", makePod("o2", "", "", app("c"))}}, []int64{100, 0, 75}},
		{"near what likes it", "InterPodAffinity", three, pod(), []on{{"c", makePod("o", "", "", wishing(true, 5, corev1.LabelHostname, "a"))}}, []int64{0, 0, 100}},
		{"away from what dislikes it", "InterPodAffinity", three, pod(), []on{{"c", makePod("o", "", "", wishing(false, 5, corev1.LabelHostname, "a"))}}, []int64{100, 100, 0}},
		{"near what needs it", "InterPodAffinity", three, pod(), []on{{"b", makePod("o", "", "", together(corev1.LabelHostname, map[string]string{"app": "a"}))}}, []int64{0, 100, 0}},
		{"near what needs another", "InterPodAffinity", three, pod(app("b")), []on{{"b", makePod("o", "", "", together(corev1.LabelHostname, map[string]string{"app": "a"}))}}, []int64{0, 0, 0}},
		{"what shuns it is a matter of filters", "InterPodAffinity", three, pod(), []on{{"b", makePod("o", "", "", apart(corev1.LabelHostname))}}, []int64{0, 0, 0}},

		{"spread over hosts", "PodTopologySpread", three, pod(softHost), []on{{"a", makePod("o", "", "")}, {"a", makePod("o2", "", "")}, {"b", makePod("o3", "", "")}}, []int64{0, 50, 100}},
		{"spread over zones", "PodTopologySpread", three, pod(softZone), []on{{"a", makePod("o", "", "")}}, []int64{0, 0, 100}},
		{"no such label", "PodTopologySpread", append([]*corev1.Node{makeNode("z", "4", "4Gi")}, three...), pod(softZone), []on{{"a", makePod("o", "", "")}}, []int64{0, 99, 99, 100}},
		{"a hard constraint is a matter of filters", "PodTopologySpread", three, pod(spreadOver(corev1.LabelHostname, 1, corev1.DoNotSchedule), ownedBy("rs")), []on{{"a", makePod("o", "", "", ownedBy("rs"))}}, []int64{0, 0, 0}},
		{"by owner, zones before hosts", "PodTopologySpread", three, pod(ownedBy("rs")), []on{{"a", makePod("o", "", "", ownedBy("rs"))}}, []int64{0, 33, 100}},
		{"by owner", "PodTopologySpread", three, pod(ownedBy("rs")), []on{{"a", makePod("o", "", "", ownedBy("rs"))}, {"c", makePod("o2", "", "", ownedBy("rs"))}, {"a", makePod("o3", "", "", ownedBy("rs"))}, {"c", makePod("o4", "", "", ownedBy("rs2"))}}, []int64{0, 33, 50}},
		{"by owner, without zones", "PodTopologySpread", []*corev1.Node{makeNode("a", "4", "4Gi"), makeNode("b", "4", "4Gi")}, pod(ownedBy("rs")), []on{{"a", makePod("o", "", "", ownedBy("rs"))}}, []int64{0, 100}},
		{"without owner", "PodTopologySpread", three, pod(), []on{{"a", makePod("o", "", "")}}, []int64{0, 0, 0}},
	} {
		t.Run(tc.plugin+": "+tc.name, func(t *testing.T) {
			s := snapshotOf(t, tc.nodes, tc.there...)
			c := cycleOf(t, s, tc.pod)
			for _, pl := range c.profile.score {
				if pl.plugin.Name() != tc.plugin {
					continue
				}
				scores := make([]int64, len(s.nodes))
				pl.plugin.Score(c.states[pl.index], s, c.pod, s.nodes, scores)
				if !slices.Equal(scores, tc.want) {
					t.Errorf("got %v, want %v", scores, tc.want)
				}
				return
			}
			t.Fatal("no such plugin")
		})
	}
}

func TestWeights(t *testing.T) {
	want := map[string]int64{
		"TaintToleration": 3, "NodeAffinity": 2, "NodeResourcesFit": 1, "PodTopologySpread": 2, "InterPodAffinity": 2,
		"NodeResourcesBalancedAllocation": 1, "ImageLocality": 1,
	}
	for _, pl := range defaultProfile(t).score {
		if pl.weight != want[pl.plugin.Name()] {
			t.Errorf("%s weighs %d, want %d", pl.plugin.Name(), pl.weight, want[pl.plugin.Name()])
		}
		delete(want, pl.plugin.Name())
	}
	if len(want) > 0 {
		t.Errorf("these do not score: %v", want)
	}
}

func TestNumFeasibleNodesToFind(t *testing.T) {
	for _, tc := range []struct{ nodes, percentage, want int }{
		{10, 0, 10}, {100, 0, 100}, {101, 0, 100}, {1000, 0, 420}, {5000, 0, 500}, {6000, 0, 300}, {6000, 50, 3000}, {1000, 1, 100}, {50, 10, 50},
	} {
		if got := numFeasibleNodesToFind(tc.nodes, tc.percentage); got != tc.want {
			t.Errorf("%d nodes, %d %%: %d are enough, want %d", tc.nodes, tc.percentage, got, tc.want)
		}
	}
}

// TestSearchGoesRound: in a large cluster each search begins where the last ended,
// and all nodes get their turn.
func TestSearchGoesRound(t *testing.T) {
	s := NewSnapshot()
	for i := range 250 {
		s.SetNode(makeNode(string(rune('a'+i/26))+string(rune('a'+i%26)), "4", "4Gi"))
	}
	seen := map[string]bool{}
	for range 3 {
		d, err := defaultProfile(t).Schedule(t.Context(), s, compile(t, makePod("p", "", "")), func(int) int { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		if d.Evaluated != 120 || d.Feasible != 120 {
			t.Fatalf("%d nodes of 250 are looked at, %d feasible; want 120", d.Evaluated, d.Feasible)
		}
		seen[d.Node] = true
	}
	if len(seen) != 3 {
		t.Errorf("three searches begin at %v", seen)
	}
}
