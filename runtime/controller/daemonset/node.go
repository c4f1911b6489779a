package daemonset

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/gantry-run/gantry/runtime/controller/internal/pods"
)

// This file says where the pods of a set belong, and makes them for their nodes.

// ownTolerations are what all daemon pods tolerate: they serve a node also when
// it is in trouble or cordoned.
func ownTolerations(hostNetwork bool) []corev1.Toleration {
	exists := func(key string, effect corev1.TaintEffect) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
	}
	all := []corev1.Toleration{
		exists(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute),
		exists(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute),
		exists(corev1.TaintNodeDiskPressure, corev1.TaintEffectNoSchedule),
		exists(corev1.TaintNodeMemoryPressure, corev1.TaintEffectNoSchedule),
		exists(corev1.TaintNodePIDPressure, corev1.TaintEffectNoSchedule),
		exists(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule),
	}
	if hostNetwork {
		all = append(all, exists(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule))
	}
	return all
}

// tolerations are the template's and the set's own.
func tolerations(spec *corev1.PodSpec) []corev1.Toleration {
	out := append([]corev1.Toleration(nil), spec.Tolerations...)
	for _, own := range ownTolerations(spec.HostNetwork) {
		there := false
		for i := range out {
			if there = out[i].MatchToleration(&own); there {
				out[i] = own // without a limit of time
				break
			}
		}
		if !there {
			out = append(out, own)
		}
	}
	return out
}

// newPod is the pod of the set for a node. The scheduler binds it: its affinity
// leaves only that node, and replaces the template's, which the node has met.
func newPod(ds *appsv1.DaemonSet, node, hash string, ref metav1.OwnerReference) *corev1.Pod {
	p := pods.FromTemplate(&ds.Spec.Template, ds.Namespace, ds.Name, ref)
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] = hash
	p.Spec.Tolerations = tolerations(&ds.Spec.Template.Spec)
	if p.Spec.Affinity == nil {
		p.Spec.Affinity = &corev1.Affinity{}
	}
	if p.Spec.Affinity.NodeAffinity == nil {
		p.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}}}},
	}
	return p
}

// nodeOf is the node that a pod is on, or is meant for; empty for none.
func nodeOf(p *corev1.Pod) string {
	if p.Spec.NodeName != "" {
		return p.Spec.NodeName
	}
	if p.Spec.Affinity == nil || p.Spec.Affinity.NodeAffinity == nil || p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, f := range term.MatchFields {
			if f.Key == metav1.ObjectNameField && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}

// placing answers for one set which nodes its pods belong on.
type placing struct {
	nodeName    string
	affinity    nodeaffinity.RequiredNodeAffinity
	tolerations []corev1.Toleration
}

func placingOf(ds *appsv1.DaemonSet) placing {
	spec := &ds.Spec.Template.Spec
	return placing{
		nodeName:    spec.NodeName,
		affinity:    nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: *spec}),
		tolerations: tolerations(spec),
	}
}

// fits says whether a pod should be started on the node, and whether one that is
// there may stay: a taint that came later and asks only newcomers to stay away
// drives nobody out.
func (pl placing) fits(n *corev1.Node) (starts, stays bool, err error) {
	if pl.nodeName != "" && pl.nodeName != n.Name {
		return false, false, nil
	}
	ok, err := pl.affinity.Match(n)
	if err != nil {
		return false, false, fmt.Errorf("node affinity on node %s: %w", n.Name, err)
	}
	if !ok {
		return false, false, nil
	}
	starts = true
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule || pl.tolerates(t) {
			continue
		}
		if t.Effect == corev1.TaintEffectNoExecute {
			return false, false, nil
		}
		starts = false
	}
	return starts, true, nil
}

func (pl placing) tolerates(t *corev1.Taint) bool {
	for i := range pl.tolerations {
		if pl.tolerations[i].ToleratesTaint(klog.Background(), t, true) {
			return true
		}
	}
	return false
}
