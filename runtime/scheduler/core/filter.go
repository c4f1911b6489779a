package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// reason is why a node cannot take a pod, in upstream's words.
type reason = string

const (
	reasonUnschedulable reason = "node(s) were unschedulable"
	reasonNodeName      reason = "node(s) didn't match the requested node name"
	reasonNodeAffinity  reason = "node(s) didn't match Pod's node affinity/selector"
	reasonPorts         reason = "node(s) didn't have free ports for the requested pod ports"
	reasonTooMany       reason = "Too many pods"
	reasonSpread        reason = "node(s) didn't match pod topology spread constraints"
	reasonSpreadLabel   reason = "node(s) didn't match pod topology spread constraints (missing required label)"
	reasonAffinity      reason = "node(s) didn't match pod affinity rules"
	reasonAntiAffinity  reason = "node(s) didn't match pod anti-affinity rules"
	reasonRepelled      reason = "node(s) didn't satisfy existing pods anti-affinity rules"
)

// filter says why a node cannot take the pod: the reasons of the first check that
// fails, none when it can. Cheap checks come first.
func (d *decision) filter(n *node) []reason {
	p := d.pod
	if want := p.Obj.Spec.NodeName; want != "" && want != n.name {
		return []reason{reasonNodeName}
	}
	if n.obj.Spec.Unschedulable && !toleratesUnschedulable(p.Obj) {
		return []reason{reasonUnschedulable}
	}
	if t := untolerated(p.Obj, n.obj.Spec.Taints, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute); t != nil {
		return []reason{"node(s) had untolerated taint {" + t.Key + ": " + t.Value + "}"}
	}
	if !d.allowedByNodeAffinity(n) {
		return []reason{reasonNodeAffinity}
	}
	for _, port := range p.ports {
		if n.taken(port) {
			return []reason{reasonPorts}
		}
	}
	if short := n.short(p); len(short) > 0 {
		return short
	}
	if r := d.spreadAllows(n); r != "" {
		return []reason{r}
	}
	if r := d.affinityAllows(n); r != "" {
		return []reason{r}
	}
	return nil
}

func (d *decision) allowedByNodeAffinity(n *node) bool {
	if !d.pod.hasNodeAffinity {
		return true
	}
	ok, err := d.pod.nodeAffinity.Match(n.obj)
	return ok && err == nil
}

// untolerated is the first taint of the given effects that the pod does not tolerate.
func untolerated(p *corev1.Pod, taints []corev1.Taint, effects ...corev1.TaintEffect) *corev1.Taint {
	for i := range taints {
		t := &taints[i]
		for _, e := range effects {
			if t.Effect == e && !tolerates(p, t) {
				return t
			}
		}
	}
	return nil
}

func tolerates(p *corev1.Pod, t *corev1.Taint) bool {
	for i := range p.Spec.Tolerations {
		if p.Spec.Tolerations[i].ToleratesTaint(klog.Logger{}, t, true) {
			return true
		}
	}
	return false
}

func toleratesUnschedulable(p *corev1.Pod) bool {
	return tolerates(p, &corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
}

// taken says whether a host port is in use: an address of all zeros is every address.
func (n *node) taken(want hostPort) bool {
	if len(n.ports) == 0 {
		return false
	}
	if want.ip != anyIP {
		return n.ports[want] > 0 || n.ports[hostPort{anyIP, want.protocol, want.port}] > 0
	}
	for have := range n.ports {
		if have.port == want.port && have.protocol == want.protocol {
			return true
		}
	}
	return false
}

const anyIP = "0.0.0.0"

// short are the resources that the node lacks for the pod.
func (n *node) short(p *Pod) []reason {
	var out []reason
	if int64(len(n.pods))+1 > n.maxPods {
		out = append(out, reasonTooMany)
	}
	ask := &p.requests
	if ask.MilliCPU > 0 && ask.MilliCPU > n.allocatable.MilliCPU-n.used.MilliCPU {
		out = append(out, "Insufficient cpu")
	}
	if ask.Memory > 0 && ask.Memory > n.allocatable.Memory-n.used.Memory {
		out = append(out, "Insufficient memory")
	}
	if ask.Ephemeral > 0 && ask.Ephemeral > n.allocatable.Ephemeral-n.used.Ephemeral {
		out = append(out, "Insufficient ephemeral-storage")
	}
	for name, want := range ask.Extended {
		if want > 0 && want > n.allocatable.Extended[name]-n.used.Extended[name] {
			out = append(out, "Insufficient "+string(name))
		}
	}
	return out
}
