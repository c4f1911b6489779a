package core

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"
)

func cordoned(n *corev1.Node) { n.Spec.Unschedulable = true }

func nodeLabel(key, value string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels[key] = value }
}

func withoutLabel(key string) func(*corev1.Node) {
	return func(n *corev1.Node) { delete(n.Labels, key) }
}

func allocatable(name corev1.ResourceName, q string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Status.Allocatable[name] = resource.MustParse(q) }
}

func tolerating(key string, effect corev1.TaintEffect) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect})
	}
}

func requesting(name corev1.ResourceName, q string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		r := &p.Spec.Containers[0].Resources
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[name] = resource.MustParse(q)
	}
}

func hostPortOf(ip string, port int32, protocol corev1.Protocol) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c := &p.Spec.Containers[0]
		c.Ports = append(c.Ports, corev1.ContainerPort{HostPort: port, HostIP: ip, Protocol: protocol})
	}
}

func labelled(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels = map[string]string{key: value} }
}

func inNamespace(ns string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Namespace = ns } }

func priority(n int32) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.Priority = &n } }

func requiringNode(terms ...corev1.NodeSelectorTerm) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
		}}
	}
}

func nodeNamed(names ...string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: names}}}
}

func inZone(zones ...string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: zones}}}
}

// constrain edits the one spread constraint that a pod has.
func constrain(edit func(*corev1.TopologySpreadConstraint)) func(*corev1.Pod) {
	return func(p *corev1.Pod) { edit(&p.Spec.TopologySpreadConstraints[0]) }
}

// on is a pod that is on a node already.
type on struct {
	node string
	pod  *corev1.Pod
}

func snapshotOf(t testing.TB, nodes []*corev1.Node, pods ...on) *Snapshot {
	t.Helper()
	s := NewSnapshot()
	for _, n := range nodes {
		s.SetNode(n)
	}
	for _, p := range pods {
		s.AddPod(compile(t, p.pod), p.node)
	}
	return s
}

// cycleOf is a cycle whose PreFilter has run.
func cycleOf(t testing.TB, s *Snapshot, p *corev1.Pod) *Cycle {
	t.Helper()
	c, err := newCycle(s, defaultProfile(t), compile(t, p), firstTie)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFilters has, for each rule of each plugin, a node n that just satisfies it, or
// just does not.
func TestFilters(t *testing.T) {
	const (
		unresolvable = framework.UnschedulableAndUnresolvable
		resolvable   = framework.Unschedulable
		fits         = framework.Success
	)
	n := func(edit ...func(*corev1.Node)) *corev1.Node {
		return makeNode("n", "4", "4Gi", append([]func(*corev1.Node){zone("a")}, edit...)...)
	}
	pod := func(edit ...func(*corev1.Pod)) *corev1.Pod { return makePod("p", "", "", edit...) }
	other := func(edit ...func(*corev1.Pod)) *corev1.Pod { return makePod("other", "1", "1Gi", edit...) }
	sidecarPort := func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways), Ports: []corev1.ContainerPort{{HostPort: 80}}}}
	}
	initPort := func(p *corev1.Pod) {
		sidecarPort(p)
		p.Spec.InitContainers[0].RestartPolicy = nil
	}
	hardZone := spreadOver(corev1.LabelTopologyZone, 1, corev1.DoNotSchedule)
	self := map[string]string{"app": "a"}
	terminating := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }

	for _, tc := range []struct {
		name   string
		node   *corev1.Node
		pod    *corev1.Pod
		there  []on // n, or m in zone b
		code   framework.Code
		plugin string
		reason string // in part
	}{
		{name: "an empty node", node: n(), pod: pod()},

		{name: "the node it names", node: n(), pod: pod(func(p *corev1.Pod) { p.Spec.NodeName = "n" })},
		{"another than the node it names", n(), pod(func(p *corev1.Pod) { p.Spec.NodeName = "m" }), nil, unresolvable, "NodeName", "requested node name"},

		{"cordoned", n(cordoned), pod(), nil, unresolvable, "NodeUnschedulable", "were unschedulable"},
		{name: "cordoned, tolerated", node: n(cordoned), pod: pod(tolerating(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule))},

		{"a taint", n(taint("k", "v", corev1.TaintEffectNoSchedule)), pod(), nil, unresolvable, "TaintToleration", "untolerated taint {k: v}"},
		{"a taint that evicts", n(taint("k", "v", corev1.TaintEffectNoExecute)), pod(), nil, unresolvable, "TaintToleration", "untolerated taint {k: v}"},
		{name: "a taint that only asks", node: n(taint("k", "v", corev1.TaintEffectPreferNoSchedule)), pod: pod()},
		{name: "a taint tolerated", node: n(taint("k", "v", corev1.TaintEffectNoSchedule)), pod: pod(tolerating("k", ""))},
		{"one of two taints tolerated", n(taint("k", "v", corev1.TaintEffectNoSchedule), taint("l", "w", corev1.TaintEffectNoSchedule)), pod(tolerating("k", "")), nil, unresolvable, "TaintToleration", "{l: w}"},
		{"another effect tolerated", n(taint("k", "v", corev1.TaintEffectNoExecute)), pod(tolerating("k", corev1.TaintEffectNoSchedule)), nil, unresolvable, "TaintToleration", "{k: v}"},

		{name: "a node selector", node: n(nodeLabel("disk", "ssd")), pod: pod(func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} })},
		{"a node selector that does not match", n(), pod(func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }), nil, unresolvable, "NodeAffinity", "node affinity/selector"},
		{name: "one of two terms", node: n(), pod: pod(requiringNode(inZone("b"), inZone("a")))},
		{"none of two terms", n(), pod(requiringNode(inZone("b"), inZone("c"))), nil, unresolvable, "NodeAffinity", "node affinity/selector"},
		{"a node selector and no term", n(nodeLabel("disk", "ssd")), pod(requiringNode(inZone("b")), func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }), nil, unresolvable, "NodeAffinity", "node affinity/selector"},

		{"a port", n(), pod(hostPortOf("", 80, "")), []on{{"n", other(hostPortOf("10.0.0.1", 80, "TCP"))}}, resolvable, "NodePorts", "free ports"},
		{"a port of one address", n(), pod(hostPortOf("10.0.0.1", 80, "")), []on{{"n", other(hostPortOf("", 80, "TCP"))}}, resolvable, "NodePorts", "free ports"},
		{name: "a port of another address", node: n(), pod: pod(hostPortOf("10.0.0.1", 80, "")), there: []on{{"n", other(hostPortOf("10.0.0.2", 80, "TCP"))}}},
		{name: "another port", node: n(), pod: pod(hostPortOf("", 81, "")), there: []on{{"n", other(hostPortOf("", 80, "TCP"))}}},
		{name: "another protocol", node: n(), pod: pod(hostPortOf("", 80, "UDP")), there: []on{{"n", other(hostPortOf("", 80, "TCP"))}}},
		{"a sidecar's port", n(), pod(sidecarPort), []on{{"n", other(hostPortOf("", 80, ""))}}, resolvable, "NodePorts", "free ports"},
		{name: "an init container's port", node: n(), pod: pod(initPort), there: []on{{"n", other(hostPortOf("", 80, ""))}}},

		{name: "all of the CPU", node: n(), pod: pod(requesting("cpu", "3")), there: []on{{"n", other()}}},
		{"more than is free", n(), pod(requesting("cpu", "3001m")), []on{{"n", other()}}, resolvable, "NodeResourcesFit", "Insufficient cpu"},
		{name: "all of the node", node: n(), pod: pod(requesting("cpu", "4"))},
		{"more than the node has", n(), pod(requesting("cpu", "4001m")), nil, unresolvable, "NodeResourcesFit", "Insufficient cpu"},
		{name: "all of the memory", node: n(), pod: pod(requesting("memory", "3Gi")), there: []on{{"n", other()}}},
		{"too little memory", n(), pod(requesting("memory", "3073Mi")), []on{{"n", other()}}, resolvable, "NodeResourcesFit", "Insufficient memory"},
		{"more ephemeral storage than the node has", n(allocatable("ephemeral-storage", "1Gi")), pod(requesting("ephemeral-storage", "2Gi")), nil, unresolvable, "NodeResourcesFit", "Insufficient ephemeral-storage"},
		{name: "all of the ephemeral storage", node: n(allocatable("ephemeral-storage", "1Gi")), pod: pod(requesting("ephemeral-storage", "1Gi"))},
		{"a device in use", n(allocatable("x.io/gpu", "1")), pod(requesting("x.io/gpu", "1")), []on{{"n", other(requesting("x.io/gpu", "1"))}}, resolvable, "NodeResourcesFit", "Insufficient x.io/gpu"},
		{"a device that the node lacks", n(), pod(requesting("x.io/gpu", "1")), nil, unresolvable, "NodeResourcesFit", "Insufficient x.io/gpu"},
		{name: "a device", node: n(allocatable("x.io/gpu", "2")), pod: pod(requesting("x.io/gpu", "1")), there: []on{{"n", other(requesting("x.io/gpu", "1"))}}},
		{"as many pods as there may be", n(allocatable("pods", "1")), pod(), []on{{"n", other()}}, resolvable, "NodeResourcesFit", "Too many pods"},
		{name: "one pod less", node: n(allocatable("pods", "2")), pod: pod(), there: []on{{"n", other()}}},
		{"a node for no pods", n(allocatable("pods", "0")), pod(), nil, resolvable, "NodeResourcesFit", "Too many pods"},
		{"pod-level requests", n(), pod(func(p *corev1.Pod) {
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("3500m")}}
		}), []on{{"n", other()}}, resolvable, "NodeResourcesFit", "Insufficient cpu"},

		{"beside a like pod with the skew at its most", n(), pod(hardZone), []on{{"n", other()}}, resolvable, "PodTopologySpread", "didn't match pod topology spread constraints"},
		{name: "a skew of 2", node: n(), pod: pod(spreadOver(corev1.LabelTopologyZone, 2, corev1.DoNotSchedule)), there: []on{{"n", other()}}},
		{name: "the other zone has one too", node: n(), pod: pod(hardZone), there: []on{{"n", other()}, {"m", makePod("another", "", "")}}},
		{name: "a pod of another namespace", node: n(), pod: pod(hardZone), there: []on{{"n", other(inNamespace("x"))}}},
		{name: "an unlike pod", node: n(), pod: pod(hardZone), there: []on{{"n", other(labelled("app", "b"))}}},
		{name: "a like pod that ends", node: n(), pod: pod(hardZone), there: []on{{"n", other(terminating)}}},
		{name: "only a wish", node: n(), pod: pod(spreadOver(corev1.LabelTopologyZone, 1, corev1.ScheduleAnyway)), there: []on{{"n", other()}}},
		{"no such label", n(withoutLabel(corev1.LabelTopologyZone)), pod(hardZone), nil, unresolvable, "PodTopologySpread", "missing required label"},
		{"fewer domains than asked for", n(), pod(hardZone, constrain(func(c *corev1.TopologySpreadConstraint) { c.MinDomains = ptr.To[int32](3) })), []on{{"n", other()}, {"m", makePod("another", "", "")}}, resolvable, "PodTopologySpread", "topology spread"},
		{name: "as many domains as asked for", node: n(), pod: pod(hardZone, constrain(func(c *corev1.TopologySpreadConstraint) { c.MinDomains = ptr.To[int32](2) })), there: []on{{"n", other()}, {"m", makePod("another", "", "")}}},
		{name: "zone b is out of bounds by affinity, so it does not count", node: n(), pod: pod(hardZone, requiringNode(inZone("a"))), there: []on{{"n", other()}}},
		{"affinity does not matter", n(), pod(hardZone, requiringNode(inZone("a")), constrain(func(c *corev1.TopologySpreadConstraint) {
			c.NodeAffinityPolicy = ptr.To(corev1.NodeInclusionPolicyIgnore)
		})), []on{{"n", other()}}, resolvable, "PodTopologySpread", "topology spread"},
		{"it does not count itself, and yet", n(), pod(labelled("app", "b"), hardZone, constrain(func(c *corev1.TopologySpreadConstraint) { c.LabelSelector.MatchLabels = self })), []on{{"n", other()}, {"n", makePod("another", "", "")}}, resolvable, "PodTopologySpread", "topology spread"},
		{name: "it does not count itself", node: n(), pod: pod(labelled("app", "b"), hardZone, constrain(func(c *corev1.TopologySpreadConstraint) { c.LabelSelector.MatchLabels = self })), there: []on{{"n", other()}}},
		{name: "only pods of its own version count", node: n(), pod: pod(func(p *corev1.Pod) { p.Labels["v"] = "2" }, hardZone, constrain(func(c *corev1.TopologySpreadConstraint) {
			c.LabelSelector.MatchLabels, c.MatchLabelKeys = self, []string{"v"}
		})), there: []on{{"n", other()}}},

		{"away from the company it needs", n(), pod(together(corev1.LabelTopologyZone, map[string]string{"app": "b"})), []on{{"m", other(labelled("app", "b"))}}, unresolvable, "InterPodAffinity", "didn't match pod affinity rules"},
		{name: "with the company it needs", node: n(), pod: pod(together(corev1.LabelTopologyZone, map[string]string{"app": "b"})), there: []on{{"n", other(labelled("app", "b"))}}},
		{"company of another namespace", n(), pod(together(corev1.LabelTopologyZone, map[string]string{"app": "b"})), []on{{"n", other(labelled("app", "b"), inNamespace("x"))}}, unresolvable, "InterPodAffinity", "pod affinity rules"},
		{name: "the first of a group", node: n(), pod: pod(together(corev1.LabelTopologyZone, self))},
		{"the second of a group", n(), pod(together(corev1.LabelTopologyZone, self)), []on{{"m", other()}}, unresolvable, "InterPodAffinity", "pod affinity rules"},
		{"the first of a group, no such label", n(withoutLabel(corev1.LabelTopologyZone)), pod(together(corev1.LabelTopologyZone, self)), nil, unresolvable, "InterPodAffinity", "pod affinity rules"},
		{"what it shuns", n(), pod(apart(corev1.LabelTopologyZone)), []on{{"n", other()}}, resolvable, "InterPodAffinity", "didn't match pod anti-affinity rules"},
		{name: "what it shuns elsewhere", node: n(), pod: pod(apart(corev1.LabelTopologyZone)), there: []on{{"m", other()}}},
		{name: "what it shuns, no such label", node: n(withoutLabel(corev1.LabelTopologyZone)), pod: pod(apart(corev1.LabelTopologyZone)), there: []on{{"n", other()}}},
		{"what shuns it", n(), pod(), []on{{"n", other(apart(corev1.LabelHostname))}}, resolvable, "InterPodAffinity", "existing pods anti-affinity rules"},
		{name: "what shuns others", node: n(), pod: pod(labelled("app", "b")), there: []on{{"n", other(apart(corev1.LabelHostname))}}},
		{name: "what shuns it elsewhere", node: n(), pod: pod(), there: []on{{"m", other(apart(corev1.LabelHostname))}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshotOf(t, []*corev1.Node{tc.node, makeNode("m", "4", "4Gi", zone("b"))}, tc.there...)
			status := cycleOf(t, s, tc.pod).Filter(s.Node("n"))
			if status.Code() != tc.code {
				t.Fatalf("%v %q, want %v", status.Code(), status.Message(), tc.code)
			}
			if !status.IsSuccess() && (status.Plugin() != tc.plugin || !strings.Contains(status.Message(), tc.reason)) {
				t.Errorf("%s: %q, want %s: %q", status.Plugin(), status.Message(), tc.plugin, tc.reason)
			}
		})
	}
}

func TestAffinityTermsChooseNamespaces(t *testing.T) {
	selector := func(l map[string]string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: l}
		}
	}
	named := func(ns ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].Namespaces = ns
		}
	}
	near := together(corev1.LabelHostname, map[string]string{"app": "b"})
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		fits bool
	}{
		{"its own", makePod("p", "", "", near), false},
		{"by name", makePod("p", "", "", near, named("x", "team")), true},
		{"by other names", makePod("p", "", "", near, named("default")), false},
		{"by labels", makePod("p", "", "", near, selector(map[string]string{"team": "1"})), true},
		{"by other labels", makePod("p", "", "", near, selector(map[string]string{"team": "2"})), false},
		{"all", makePod("p", "", "", near, selector(nil)), true},
		{"by name or labels", makePod("p", "", "", near, selector(map[string]string{"team": "2"}), named("team")), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi")}, on{"n", makePod("b", "", "", labelled("app", "b"), inNamespace("team"))})
			s.SetNamespace("team", map[string]string{"team": "1"})
			if fits := put(t, s, tc.pod) != ""; fits != tc.fits {
				t.Errorf("fits: %v, want %v", fits, tc.fits)
			}
		})
	}
}

func TestNodesNamedByAffinity(t *testing.T) {
	both := nodeNamed("n1")
	both.MatchFields = append(both.MatchFields, nodeNamed("n1", "n2").MatchFields...)
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		want []string // nil: all are looked at
	}{
		{"one", makePod("p", "", "", requiringNode(nodeNamed("n2"))), []string{"n2"}},
		{"either", makePod("p", "", "", requiringNode(nodeNamed("n2"), nodeNamed("n1"))), []string{"n1", "n2"}},
		{"both at once", makePod("p", "", "", requiringNode(both)), []string{"n1"}},
		{"none that is there", makePod("p", "", "", requiringNode(nodeNamed("gone"))), []string{}},
		{"one term names none", makePod("p", "", "", requiringNode(nodeNamed("n1"), inZone("a"))), nil},
		{"none", makePod("p", "", ""), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshotOf(t, []*corev1.Node{makeNode("n1", "4", "4Gi"), makeNode("n2", "4", "4Gi"), makeNode("n3", "4", "4Gi")})
			c := cycleOf(t, s, tc.pod)
			if (c.only == nil) != (tc.want == nil) {
				t.Fatalf("only %v are looked at, want %v", c.only, tc.want)
			}
			var got []string
			for _, n := range c.namedNodes() {
				got = append(got, n.Name())
			}
			if tc.want != nil && !slices.Equal(got, tc.want) && len(got)+len(tc.want) > 0 {
				t.Errorf("looks at %v, want %v", got, tc.want)
			}
		})
	}
}

func TestOthersThanNamedNodesAreUnresolvable(t *testing.T) {
	s := snapshotOf(t, []*corev1.Node{makeNode("n1", "4", "4Gi", cordoned), makeNode("n2", "4", "4Gi"), makeNode("n3", "4", "4Gi")})
	_, err := defaultProfile(t).Schedule(t.Context(), s, compile(t, makePod("p", "", "", requiringNode(nodeNamed("n1")))), firstTie)
	const want = "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]." + unhelpful3
	if err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	if got := err.(*FitError).RejectedBy; !slices.Equal(got, []string{"NodeAffinity", "NodeUnschedulable"}) {
		t.Errorf("rejected by %v", got)
	}
	for n, status := range s.statuses.all() {
		if status.Code() != framework.UnschedulableAndUnresolvable {
			t.Errorf("%s: %v", n.Name(), status.Code())
		}
	}
}
