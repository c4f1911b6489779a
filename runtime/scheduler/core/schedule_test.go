package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// firstTie makes decisions repeatable.
func firstTie(int) int { return 0 }

func makeNode(name string, cpu, memory string, edit ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
			corev1.ResourcePods: resource.MustParse("110"),
		}},
	}
	for _, e := range edit {
		e(n)
	}
	return n
}

func zone(z string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = z }
}

func taint(key, value string, effect corev1.TaintEffect) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: effect})
	}
}

func makePod(name, cpu, memory string, edit ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name), Labels: map[string]string{"app": "a"}}}
	c := corev1.Container{Name: "c", Image: "app"}
	if cpu != "" {
		c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	p.Spec.Containers = []corev1.Container{c}
	for _, e := range edit {
		e(p)
	}
	return p
}

func ownedBy(uid string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{UID: types.UID(uid), Kind: "ReplicaSet", Name: uid, Controller: &yes}}
	}
}

func apart(topology string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey: topology, LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels},
			}},
		}}
	}
}

func together(topology string, with map[string]string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey: topology, LabelSelector: &metav1.LabelSelector{MatchLabels: with},
			}},
		}}
	}
}

func spreadOver(topology string, skew int32, when corev1.UnsatisfiableConstraintAction) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: skew, TopologyKey: topology, WhenUnsatisfiable: when, LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels},
		}}
	}
}

func compile(t testing.TB, p *corev1.Pod) *PodInfo {
	t.Helper()
	c, err := NewPodInfo(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// defaultProfile is the profile of a scheduler that is configured with none.
func defaultProfile(t testing.TB, more ...WeightedPlugin) *Profile {
	t.Helper()
	pr, err := NewProfile("default-scheduler", 0, AllPoints(append(DefaultPlugins(Volumes{}, Devices{}), more...)))
	if err != nil {
		t.Fatal(err)
	}
	return pr
}

// put schedules and places a pod; "" when it does not fit.
func put(t testing.TB, s *Snapshot, p *corev1.Pod) string {
	t.Helper()
	compiled := compile(t, p)
	d, err := defaultProfile(t).Schedule(t.Context(), s, compiled, firstTie)
	var why *FitError
	if errors.As(err, &why) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	s.AddPod(compiled, d.Node)
	return d.Node
}

// What preemption adds where it cannot help on any of one node, or of three.
const (
	unhelpful1 = " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
	unhelpful3 = " preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)

func TestReasonsAreWordedAsUpstream(t *testing.T) {
	cases := []struct {
		name  string
		nodes []*corev1.Node
		pod   *corev1.Pod
		want  string
	}{
		{"no nodes", nil, makePod("p", "1", "1Gi"), "no nodes available to schedule pods"},
		{
			"cpu and taint",
			[]*corev1.Node{
				makeNode("m", "8", "8Gi", taint("node-role.kubernetes.io/control-plane", "", corev1.TaintEffectNoSchedule)),
				makeNode("w1", "1", "8Gi"), makeNode("w2", "1", "8Gi"),
			},
			makePod("p", "2", "1Gi"),
			"0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu." + unhelpful3,
		},
		{
			"two resources of one node",
			[]*corev1.Node{makeNode("w1", "1", "1Gi")}, makePod("p", "2", "2Gi"),
			"0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory." + unhelpful1,
		},
		{
			"selector",
			[]*corev1.Node{makeNode("w1", "1", "1Gi")},
			makePod("p", "", "", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }),
			"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." + unhelpful1,
		},
		{
			"cordoned",
			[]*corev1.Node{makeNode("w1", "1", "1Gi", func(n *corev1.Node) { n.Spec.Unschedulable = true })},
			makePod("p", "", ""), "0/1 nodes are available: 1 node(s) were unschedulable." + unhelpful1,
		},
		{
			"affinity to nothing",
			[]*corev1.Node{makeNode("w1", "1", "1Gi")}, makePod("p", "", "", together(corev1.LabelHostname, map[string]string{"app": "other"})),
			"0/1 nodes are available: 1 node(s) didn't match pod affinity rules." + unhelpful1,
		},
		{
			"full of pods",
			[]*corev1.Node{makeNode("w1", "1", "1Gi", func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("0") })},
			makePod("p", "", ""), "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := NewSnapshot()
			for _, n := range tc.nodes {
				c.SetNode(n)
			}
			_, err := defaultProfile(t).Schedule(t.Context(), c, compile(t, tc.pod), firstTie)
			if err == nil || err.Error() != tc.want {
				t.Fatalf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestInitContainersAndOverheadCount(t *testing.T) {
	c := NewSnapshot()
	c.SetNode(makeNode("w1", "2", "4Gi"))
	big := makePod("p", "1", "1Gi", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "i", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1900m")}}}}
		p.Spec.Overhead = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("200m")}
	})
	if got := put(t, c, big); got != "" {
		t.Fatalf("placed on %s though init container and overhead need 2100m of 2000m", got)
	}
}

func TestHostPorts(t *testing.T) {
	port := func(ip string, n int32) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: n, HostIP: ip, Protocol: corev1.ProtocolTCP}}
		}
	}
	c := NewSnapshot()
	c.SetNode(makeNode("w1", "4", "4Gi"))
	for i, step := range []struct {
		ip   string
		port int32
		fits bool
	}{{"10.0.0.1", 80, true}, {"10.0.0.2", 80, true}, {"10.0.0.1", 80, false}, {"", 80, false}, {"", 81, true}, {"10.0.0.1", 81, false}} {
		if got := put(t, c, makePod(fmt.Sprint("p", i), "", "", port(step.ip, step.port))) != ""; got != step.fits {
			t.Errorf("step %d %s:%d: fits %v, want %v", i, step.ip, step.port, got, step.fits)
		}
	}
}

func TestPodsOfOneOwnerSpread(t *testing.T) {
	c := NewSnapshot()
	for i := range 4 {
		c.SetNode(makeNode(fmt.Sprint("w", i), "8", "16Gi"))
	}
	on := map[string]int{}
	for i := range 8 {
		on[put(t, c, makePod(fmt.Sprint("p", i), "100m", "100Mi", ownedBy("rs")))]++
	}
	for n, count := range on {
		if count != 2 {
			t.Errorf("node %s has %d of 8 pods on 4 equal nodes: %v", n, count, on)
		}
	}
}

func TestTopologySpreadHoldsSkew(t *testing.T) {
	c := NewSnapshot()
	for i := range 6 {
		c.SetNode(makeNode(fmt.Sprint("w", i), "8", "16Gi", zone(fmt.Sprint("z", min(i, 2))))) // z2 has four nodes
	}
	zones := map[string]int{}
	for i := range 9 {
		n := put(t, c, makePod(fmt.Sprint("p", i), "100m", "100Mi", spreadOver(corev1.LabelTopologyZone, 1, corev1.DoNotSchedule)))
		if n == "" {
			t.Fatalf("pod %d found no place", i)
		}
		zones[c.byName[n].zone]++
		low, high := 99, 0
		for _, z := range []string{"z0", "z1", "z2"} {
			low, high = min(low, zones[z]), max(high, zones[z])
		}
		if high-low > 1 {
			t.Fatalf("after pod %d the skew is %d: %v", i, high-low, zones)
		}
	}
}

func TestFirstOfAGroupMayStart(t *testing.T) {
	c := NewSnapshot()
	c.SetNode(makeNode("w1", "4", "4Gi", zone("a")))
	c.SetNode(makeNode("w2", "4", "4Gi", zone("b")))
	self := map[string]string{"app": "a"}
	first := put(t, c, makePod("p1", "", "", together(corev1.LabelTopologyZone, self)))
	second := put(t, c, makePod("p2", "", "", together(corev1.LabelTopologyZone, self)))
	if first == "" || first != second {
		t.Fatalf("pods that want to be together are on %q and %q", first, second)
	}
}

func TestPlacedPodsRepelNewcomers(t *testing.T) {
	c := NewSnapshot()
	c.SetNode(makeNode("w1", "4", "4Gi"))
	c.SetNode(makeNode("w2", "4", "4Gi"))
	loner := put(t, c, makePod("loner", "", "", apart(corev1.LabelHostname)))
	if other := put(t, c, makePod("other", "", "")); other == loner || other == "" {
		t.Fatalf("a pod without wishes of its own is on %q beside one that wants to be alone on %q", other, loner)
	}
}

func TestPreferredTaintIsLastResort(t *testing.T) {
	c := NewSnapshot()
	c.SetNode(makeNode("w1", "64", "64Gi", taint("slow", "", corev1.TaintEffectPreferNoSchedule)))
	c.SetNode(makeNode("w2", "2", "2Gi"))
	if got := put(t, c, makePod("p", "1", "1Gi")); got != "w2" {
		t.Errorf("placed on %q, want w2", got)
	}
	if got := put(t, c, makePod("q", "2", "1Gi")); got != "w1" {
		t.Errorf("when w2 is full: placed on %q, want w1", got)
	}
}

// TestRandomClusters checks what must hold in every cluster: no node is filled
// beyond its capacity, taints and anti-affinity are respected, removal gives
// everything back, and equal input gives equal placements.
func TestRandomClusters(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			a, placedA := randomRun(t, seed)
			_, placedB := randomRun(t, seed)
			if len(placedA) == 0 {
				t.Fatal("nothing was placed: the test tests nothing")
			}
			for uid, n := range placedA {
				if placedB[uid] != n {
					t.Fatalf("pod %s is on %s and, the second time, on %s", uid, n, placedB[uid])
				}
			}
			for uid := range placedA {
				a.RemovePod(uid)
			}
			for _, n := range a.nodes {
				used := n.Requested()
				if len(n.pods) != 0 || used.MilliCPU != 0 || used.Memory != 0 || n.nonZeroRequested.MilliCPU != 0 || len(n.usedPorts) != 0 || len(n.owned) != 0 {
					t.Fatalf("node %s is not empty after all pods left: %+v, %d pods", n.name, used, len(n.pods))
				}
			}
			if len(a.byNamespace)+len(a.antiAffine)+len(a.affine)+len(a.ownedInZone)+len(a.nominated) != 0 {
				t.Fatal("indexes are not empty after all pods left")
			}
		})
	}
}

func randomRun(t *testing.T, seed uint64) (*Snapshot, map[types.UID]string) {
	r := rand.New(rand.NewPCG(seed, 1))
	c := NewSnapshot()
	nodes := map[string]*corev1.Node{}
	for i := range 5 + r.IntN(200) {
		n := makeNode(fmt.Sprint("n", i), fmt.Sprint(1+r.IntN(8)), fmt.Sprintf("%dGi", 1+r.IntN(16)), zone(fmt.Sprint("z", r.IntN(3))))
		if r.IntN(4) == 0 {
			taint("dedicated", "x", corev1.TaintEffectNoSchedule)(n)
		}
		nodes[n.Name] = n
		c.SetNode(n)
	}
	at, pods := map[types.UID]string{}, map[types.UID]*corev1.Pod{}
	for i := range 300 {
		p := makePod(fmt.Sprint("p", i), fmt.Sprintf("%dm", 100+r.IntN(900)), fmt.Sprintf("%dMi", 64+r.IntN(1024)))
		p.Labels = map[string]string{"app": fmt.Sprint(r.IntN(10))}
		switch r.IntN(5) {
		case 0:
			apart(corev1.LabelHostname)(p)
		case 1:
			p.Spec.Tolerations = []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}}
		case 2:
			ownedBy("rs" + p.Labels["app"])(p)
		case 3:
			spreadOver(corev1.LabelTopologyZone, 2, corev1.ScheduleAnyway)(p)
		}
		if n := put(t, c, p); n != "" {
			at[p.UID], pods[p.UID] = n, p
		}
	}
	checkRun(t, c, nodes, at, pods)
	return c, at
}

func checkRun(t *testing.T, c *Snapshot, nodes map[string]*corev1.Node, at map[types.UID]string, pods map[types.UID]*corev1.Pod) {
	cpu, memory, apps := map[string]int64{}, map[string]int64{}, map[string]map[string]int{}
	for uid, name := range at {
		p := pods[uid]
		cpu[name] += p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
		memory[name] += p.Spec.Containers[0].Resources.Requests.Memory().Value()
		if apps[name] == nil {
			apps[name] = map[string]int{}
		}
		apps[name][p.Labels["app"]]++
		if len(nodes[name].Spec.Taints) > 0 && len(p.Spec.Tolerations) == 0 {
			t.Fatalf("pod %s is on tainted node %s", uid, name)
		}
	}
	for uid, name := range at {
		if p := pods[uid]; p.Spec.Affinity != nil && apps[name][p.Labels["app"]] > 1 {
			t.Fatalf("pod %s wants node %s for itself but %d of its app are there", uid, name, apps[name][p.Labels["app"]])
		}
	}
	for name, n := range nodes {
		if cpu[name] > n.Status.Allocatable.Cpu().MilliValue() || memory[name] > n.Status.Allocatable.Memory().Value() {
			t.Fatalf("node %s is over its capacity", name)
		}
		if used := c.Node(name).Requested(); used.MilliCPU != cpu[name] || used.Memory != memory[name] {
			t.Fatalf("node %s: accounted %d m, %d B; its pods ask for %d m, %d B", name, used.MilliCPU, used.Memory, cpu[name], memory[name])
		}
	}
}

func BenchmarkSchedule(b *testing.B) {
	for _, nodes := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			c := NewSnapshot()
			for i := range nodes {
				c.SetNode(makeNode(fmt.Sprint("n", i), "32", "64Gi", zone(fmt.Sprint("z", i%3))))
			}
			i := 0
			for b.Loop() {
				put(b, c, makePod(fmt.Sprint("p", i), "10m", "10Mi", ownedBy(fmt.Sprint("rs", i/50))))
				i++
			}
		})
	}
}
