package core

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-scheduler/framework"
)

// randomPod is a pod with some of the rules that look at other pods.
func randomPod(r *rand.Rand, name string) *corev1.Pod {
	p := makePod(name, fmt.Sprintf("%dm", 100+r.IntN(900)), fmt.Sprintf("%dMi", 64+r.IntN(1024)), labelled("app", fmt.Sprint(r.IntN(4))), priority(int32(r.IntN(3))))
	topology := []string{corev1.LabelHostname, corev1.LabelTopologyZone}[r.IntN(2)]
	switch r.IntN(6) {
	case 0:
		apart(topology)(p)
	case 1:
		together(topology, map[string]string{"app": fmt.Sprint(r.IntN(4))})(p)
	case 2:
		spreadOver(topology, 1+r.Int32N(2), corev1.DoNotSchedule)(p)
	case 3:
		hostPortOf("", 80+r.Int32N(2), "")(p)
	case 4:
		requesting("x.io/gpu", "1")(p)
	}
	return p
}

func randomNodes(r *rand.Rand) []*corev1.Node {
	var nodes []*corev1.Node
	for i := range 3 + r.IntN(8) {
		n := makeNode(fmt.Sprint("n", i), "4", "8Gi", zone(fmt.Sprint("z", r.IntN(3))), allocatable("x.io/gpu", "2"))
		if r.IntN(5) == 0 {
			delete(n.Labels, corev1.LabelTopologyZone)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// answers are what each node says to a pod.
func answers(s *Snapshot, filter func(node string) *framework.Status) map[string]string {
	out := map[string]string{}
	for _, n := range s.nodes {
		status := filter(n.name)
		out[n.name] = fmt.Sprintf("%v %s", status.Code(), status.Message())
	}
	return out
}

// TestDryRunsAreAsTheClusterWouldBe: what a dry run says after some pods went and
// came is what a cluster says in which they did, and the snapshot does not notice.
func TestDryRunsAreAsTheClusterWouldBe(t *testing.T) {
	differ := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		nodes := randomNodes(r)
		var there []on
		for i := range 30 {
			there = append(there, on{nodes[r.IntN(len(nodes))].Name, randomPod(r, fmt.Sprint("p", i))})
		}
		s := snapshotOf(t, nodes, there...)
		c := cycleOf(t, s, randomPod(r, "new"))
		before := answers(s, func(node string) *framework.Status { return c.Filter(s.Node(node)) })

		dry := c.DryRun()
		left := slices.Clone(there)
		for range r.IntN(10) {
			i := r.IntN(len(left))
			dry.RemovePod(s.pods[left[i].pod.UID].PodInfo, left[i].node)
			if r.IntN(4) == 0 { // it need not go
				dry.AddPod(s.pods[left[i].pod.UID].PodInfo, left[i].node)
				continue
			}
			left = slices.Delete(left, i, i+1)
		}
		for i := range r.IntN(5) {
			p := on{nodes[r.IntN(len(nodes))].Name, randomPod(r, fmt.Sprint("more", i))}
			dry.AddPod(compile(t, p.pod), p.node)
			left = append(left, p)
		}
		real := snapshotOf(t, nodes, left...)
		would := cycleOf(t, real, c.pod.Pod)
		want := answers(real, func(node string) *framework.Status { return would.Filter(real.Node(node)) })
		if got := answers(s, dry.Filter); !maps.Equal(got, want) {
			t.Fatalf("seed %d: %s\nin a dry run: %v\nin a cluster: %v", seed, c.pod.Pod.Spec.String(), got, want)
		}
		if after := answers(s, func(node string) *framework.Status { return c.Filter(s.Node(node)) }); !maps.Equal(before, after) {
			t.Fatalf("seed %d: the snapshot says %v after a dry run, before %v", seed, after, before)
		}
		if !maps.Equal(before, want) {
			differ++
		}
	}
	if differ < 50 {
		t.Errorf("only %d dry runs of 200 changed an answer: the test tests too little", differ)
	}
}

// TestNominatedPods: they count for pods of their priority or a lower one.
func TestNominatedPods(t *testing.T) {
	for _, tc := range []struct {
		name      string
		nominated *corev1.Pod
		pod       *corev1.Pod
		want      framework.Code
	}{
		{"a higher priority counts", makePod("high", "3", "1Gi", priority(2)), makePod("p", "2", "1Gi", priority(1)), framework.Unschedulable},
		{"the same priority counts", makePod("same", "3", "1Gi", priority(1)), makePod("p", "2", "1Gi", priority(1)), framework.Unschedulable},
		{"a lower priority makes way", makePod("low", "3", "1Gi"), makePod("p", "2", "1Gi", priority(1)), framework.Success},
		{"it does not count for itself", makePod("p", "3", "1Gi"), makePod("p", "3", "1Gi"), framework.Success},
		{"there is room for both", makePod("high", "2", "1Gi", priority(2)), makePod("p", "2", "1Gi"), framework.Success},
		{"it shuns the pod, that asks for nothing", makePod("high", "", "", priority(2), apart(corev1.LabelHostname)), makePod("p", "", ""), framework.Unschedulable},
		{"it counts for spreading", makePod("high", "", "", priority(2)), makePod("p", "", "", spreadOver(corev1.LabelHostname, 1, corev1.DoNotSchedule)), framework.Unschedulable},
		{"its company is not to be relied on", makePod("high", "", "", priority(2), labelled("app", "b")), makePod("p", "", "", together(corev1.LabelHostname, map[string]string{"app": "b"})), framework.UnschedulableAndUnresolvable},
		{"it has the port", makePod("high", "", "", priority(2), hostPortOf("", 80, "")), makePod("p", "", "", hostPortOf("", 80, "")), framework.Unschedulable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi"), makeNode("m", "4", "4Gi")})
			s.Nominate(compile(t, tc.nominated), "n")
			c := cycleOf(t, s, tc.pod)
			if got := c.Filter(s.Node("n")); got.Code() != tc.want {
				t.Errorf("%v %q, want %v", got.Code(), got.Message(), tc.want)
			}
			if n := s.Node("n"); len(n.pods) != 0 || n.requested.MilliCPU != 0 {
				t.Error("the nominated pod is on the node")
			}
			if got := c.Filter(s.Node("m")); tc.name != "its company is not to be relied on" && !got.IsSuccess() {
				t.Errorf("the other node: %v %q", got.Code(), got.Message())
			}
		})
	}
}

func TestTheNominatedNodeIsTriedFirst(t *testing.T) {
	s := snapshotOf(t, []*corev1.Node{makeNode("small", "2", "2Gi"), makeNode("large", "64", "64Gi")})
	p := compile(t, makePod("p", "1", "1Gi"))
	schedule := func() *Decision {
		d, err := defaultProfile(t).Schedule(t.Context(), s, p, firstTie)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	s.Nominate(p, "small")
	if d := schedule(); d.Node != "small" || d.Evaluated != 1 {
		t.Errorf("it is to go to %s after a look at %d nodes", d.Node, d.Evaluated)
	}
	s.AddPod(compile(t, makePod("o", "2", "2Gi")), "small")
	if d := schedule(); d.Node != "large" {
		t.Errorf("it is to go to %s though its nominated node is full", d.Node)
	}
	s.Nominate(p, "gone")
	if d := schedule(); d.Node != "large" {
		t.Errorf("it is to go to %s though its nominated node is gone", d.Node)
	}
	s.RemovePod("o")
	s.Nominate(p, "small")
	s.Unnominate("p")
	if d := schedule(); d.Node != "large" {
		t.Errorf("it is to go to %s, to which it is not nominated any more", d.Node)
	}
	s.AddPod(p, "large")
	s.Nominate(p, "small") // a late event: it is where it is
	if n := s.Node("small"); len(n.nominated) != 0 || len(s.nominated) != 0 || s.byName["gone"] != nil {
		t.Error("an assigned pod is nominated")
	}
}
