package core

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-scheduler/framework"
)

// alsoSpreading adds a constraint that counts pods of another app.
func alsoSpreading(app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c := p.Spec.TopologySpreadConstraints[0]
		c.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, c)
	}
}

// alsoTogether adds a term that wants a pod of another app too.
func alsoTogether(app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		terms := &p.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		term := (*terms)[0]
		term.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
		*terms = append(*terms, term)
	}
}

// TestEventsThatHelp has, for each plugin that rejects pods, events that are worth
// another attempt and their like that are not.
func TestEventsThatHelp(t *testing.T) {
	n := func(edit ...func(*corev1.Node)) *corev1.Node {
		return makeNode("n", "4", "4Gi", append([]func(*corev1.Node){zone("a")}, edit...)...)
	}
	pod := func(edit ...func(*corev1.Pod)) *corev1.Pod { return makePod("p", "2", "1Gi", edit...) }
	other := func(edit ...func(*corev1.Pod)) *PodInfo { return compile(t, makePod("other", "1", "1Gi", edit...)) }
	terminating := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }
	hard := spreadOver(corev1.LabelTopologyZone, 1, corev1.DoNotSchedule)
	const (
		node    = framework.Node
		podOnN  = framework.AssignedPod
		add     = framework.Add
		update  = framework.Update
		deleted = framework.Delete
	)
	for _, tc := range []struct {
		name       string
		rejectedBy string
		pod        *corev1.Pod
		resource   framework.EventResource
		action     framework.ActionType
		old, now   any
		want       bool
	}{
		{"its node comes", "NodeName", pod(func(p *corev1.Pod) { p.Spec.NodeName = "n" }), node, add, nil, n(), true},
		{"another node comes", "NodeName", pod(func(p *corev1.Pod) { p.Spec.NodeName = "m" }), node, add, nil, n(), false},
		{"its node changes", "NodeName", pod(func(p *corev1.Pod) { p.Spec.NodeName = "n" }), node, framework.UpdateNodeLabel, n(), n(), false},

		{"uncordoned", "NodeUnschedulable", pod(), node, framework.UpdateNodeTaint, n(cordoned), n(), true},
		{"cordoned", "NodeUnschedulable", pod(), node, framework.UpdateNodeTaint, n(), n(cordoned), false},
		{"still schedulable", "NodeUnschedulable", pod(), node, framework.UpdateNodeTaint, n(), n(), false},
		{"a cordoned node comes", "NodeUnschedulable", pod(), node, add, nil, n(cordoned), false},
		{"a node comes", "NodeUnschedulable", pod(), node, add, nil, n(), true},
		{"a node goes", "NodeUnschedulable", pod(), node, deleted, n(), nil, false},
		{"a pod goes", "NodeUnschedulable", pod(), podOnN, deleted, other(), nil, false},

		{"a taint goes", "TaintToleration", pod(), node, framework.UpdateNodeTaint, n(taint("k", "", corev1.TaintEffectNoSchedule)), n(), true},
		{"one of two goes", "TaintToleration", pod(), node, framework.UpdateNodeTaint, n(taint("k", "", corev1.TaintEffectNoSchedule), taint("l", "", corev1.TaintEffectNoSchedule)), n(taint("k", "", corev1.TaintEffectNoSchedule)), false},
		{"a label changes", "TaintToleration", pod(), node, framework.UpdateNodeLabel, n(taint("k", "", corev1.TaintEffectNoSchedule)), n(), false},

		{"a label comes", "NodeAffinity", pod(requiringNode(inZone("a"))), node, framework.UpdateNodeLabel, n(zone("b")), n(), true},
		{"a label goes", "NodeAffinity", pod(requiringNode(inZone("a"))), node, framework.UpdateNodeLabel, n(), n(zone("b")), false},
		{"a matching node comes", "NodeAffinity", pod(requiringNode(inZone("a"))), node, add, nil, n(), true},

		{"a port is freed", "NodePorts", pod(hostPortOf("", 80, "")), podOnN, deleted, other(hostPortOf("10.0.0.1", 80, "")), nil, true},
		{"another port is freed", "NodePorts", pod(hostPortOf("", 80, "")), podOnN, deleted, other(hostPortOf("", 81, "")), nil, false},
		{"a port is taken", "NodePorts", pod(hostPortOf("", 80, "")), podOnN, add, nil, other(hostPortOf("", 80, "")), false},
		{"a node with free ports comes", "NodePorts", pod(hostPortOf("", 80, "")), node, add, nil, n(), true},

		{"a pod leaves", "NodeResourcesFit", pod(), podOnN, deleted, other(), nil, true},
		{"a pod comes", "NodeResourcesFit", pod(), podOnN, add, nil, other(), false},
		{"a pod shrinks", "NodeResourcesFit", pod(), podOnN, update, other(), compile(t, makePod("other", "500m", "1Gi")), true},
		{"a pod needs less memory", "NodeResourcesFit", pod(), podOnN, update, other(), compile(t, makePod("other", "1", "1Mi")), true},
		{"a pod needs less storage", "NodeResourcesFit", pod(), podOnN, update, other(requesting("ephemeral-storage", "1Gi")), other(), true},
		{"a pod needs no device", "NodeResourcesFit", pod(), podOnN, update, other(requesting("x.io/gpu", "1")), other(), true},
		{"a pod grows", "NodeResourcesFit", pod(), podOnN, update, other(), compile(t, makePod("other", "2", "2Gi")), false},
		{"a large node comes", "NodeResourcesFit", pod(), node, add, nil, n(), true},
		{"a small node comes", "NodeResourcesFit", pod(), node, add, nil, n(allocatable("cpu", "1")), false},
		{"a node grows", "NodeResourcesFit", pod(), node, framework.UpdateNodeAllocatable, n(allocatable("cpu", "3")), n(), true},
		{"a node shrinks", "NodeResourcesFit", pod(), node, framework.UpdateNodeAllocatable, n(allocatable("cpu", "5")), n(), false},
		{"a node gets a label", "NodeResourcesFit", pod(), node, framework.UpdateNodeLabel, n(), n(), false},

		{"a like pod comes", "PodTopologySpread", pod(hard), podOnN, add, nil, other(), true},
		{"a like pod goes", "PodTopologySpread", pod(hard), podOnN, deleted, other(), nil, true},
		{"an unlike pod goes", "PodTopologySpread", pod(hard), podOnN, deleted, other(labelled("app", "b")), nil, false},
		{"a pod of another namespace goes", "PodTopologySpread", pod(hard), podOnN, deleted, other(inNamespace("x")), nil, false},
		{"a like pod begins to end", "PodTopologySpread", pod(hard), podOnN, update, other(), other(terminating), true},
		{"a like pod shrinks", "PodTopologySpread", pod(hard), podOnN, update, other(), compile(t, makePod("other", "500m", "1Gi")), false},
		{"a pod becomes alike", "PodTopologySpread", pod(hard), podOnN, update, other(labelled("app", "b")), other(), true},
		{"a pod leaves one constraint for another", "PodTopologySpread", pod(hard, alsoSpreading("b")), podOnN, update, other(), other(labelled("app", "b")), true},
		{"a pod leaves one constraint", "PodTopologySpread", pod(hard, alsoSpreading("b")), podOnN, update, other(), other(labelled("app", "c")), true},
		{"a pod stays between constraints", "PodTopologySpread", pod(hard, alsoSpreading("b")), podOnN, update, other(labelled("app", "c")), other(labelled("app", "d")), false},
		{"a domain goes", "PodTopologySpread", pod(hard), node, deleted, n(), nil, true},

		{"company comes", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "b"})), podOnN, add, nil, other(labelled("app", "b")), true},
		{"a stranger comes", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "b"})), podOnN, add, nil, other(), false},
		{"a pod becomes company", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "b"})), podOnN, update, other(), other(labelled("app", "b")), true},
		{"company stays", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "b"})), podOnN, update, other(labelled("app", "b")), other(labelled("app", "b")), false},
		{"what it shuns goes", "InterPodAffinity", pod(apart(corev1.LabelHostname)), podOnN, deleted, other(), nil, true},
		{"what it shuns comes", "InterPodAffinity", pod(apart(corev1.LabelHostname)), podOnN, add, nil, other(), false},
		{"what it shuns becomes another", "InterPodAffinity", pod(apart(corev1.LabelHostname)), podOnN, update, other(), other(labelled("app", "b")), true},
		{"what shuns it goes", "InterPodAffinity", pod(), podOnN, deleted, other(apart(corev1.LabelHostname)), nil, true},
		{"what shuns others goes", "InterPodAffinity", pod(labelled("app", "b")), podOnN, deleted, other(apart(corev1.LabelHostname)), nil, false},
		{"a node with what it shuns goes", "InterPodAffinity", pod(apart(corev1.LabelTopologyZone)), node, deleted, n(), nil, true},
		{"the last of its group becomes another", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "a"})), podOnN, update, other(), other(labelled("app", "b")), true},
		{"company of another group becomes another", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "b"})), podOnN, update, other(labelled("app", "b")), other(labelled("app", "c")), false},
		{"company of another group goes", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "b"})), podOnN, deleted, other(labelled("app", "b")), nil, false},
		{"one company becomes another", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "b"}), alsoTogether("c")), podOnN, update, other(labelled("app", "b")), other(labelled("app", "c")), true},
		{"what shuns it becomes another", "InterPodAffinity", pod(), podOnN, update, other(apart(corev1.LabelHostname)), other(apart(corev1.LabelHostname)), false},
		{"the last of its group goes", "InterPodAffinity", pod(together(corev1.LabelHostname, map[string]string{"app": "a"})), podOnN, deleted, other(), nil, true},
		{"a namespace gets a label", "InterPodAffinity", pod(), Namespace, update, nil, &corev1.Namespace{}, true},
		{"a namespace gets a label, which is no matter", "NodeResourcesFit", pod(), Namespace, update, nil, &corev1.Namespace{}, false},
	} {
		t.Run(tc.rejectedBy+": "+tc.name, func(t *testing.T) {
			event := framework.ClusterEvent{Resource: tc.resource, ActionType: tc.action}
			if got := defaultProfile(t).MayHelp(compile(t, tc.pod), []string{tc.rejectedBy}, event, tc.old, tc.now); got != tc.want {
				t.Errorf("helps: %v, want %v", got, tc.want)
			}
		})
	}
}

// TestEventsHelpAllThatAreConcerned: one of the plugins that rejected a pod suffices;
// a pod that none rejected (there was no node) is helped by anything.
func TestEventsHelpAllThatAreConcerned(t *testing.T) {
	pr, p := defaultProfile(t), compile(t, makePod("p", "1", "1Gi"))
	deleted := framework.ClusterEvent{Resource: framework.AssignedPod, ActionType: framework.Delete}
	for _, tc := range []struct {
		rejectedBy []string
		want       bool
	}{{nil, true}, {[]string{"NodeAffinity"}, false}, {[]string{"NodeAffinity", "NodeResourcesFit"}, true}, {[]string{"NodeResourcesFit", "NodeAffinity"}, true}, {[]string{"gone"}, false}} {
		if got := pr.MayHelp(p, tc.rejectedBy, deleted, p, nil); got != tc.want {
			t.Errorf("rejected by %v: helps %v, want %v", tc.rejectedBy, got, tc.want)
		}
	}
}
