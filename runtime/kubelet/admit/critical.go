package admit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// systemCriticalPriority is the least priority of critical pods, as the classes
// system-cluster-critical and system-node-critical give it.
const systemCriticalPriority = 2_000_000_000

func priority(p *corev1.Pod) int32 {
	if p.Spec.Priority == nil {
		return 0
	}
	return *p.Spec.Priority
}

// IsCritical reports whether other pods give way to a pod that lacks room on its node, as
// they do to all static pods.
func IsCritical(p *corev1.Pod) bool { return pod.IsStatic(p) || priority(p) >= systemCriticalPriority }

// Victims are the pods that have to end for a critical pod that lacks nothing but room:
// as few as possible, none that is as critical, those of a better QoS class only when the
// others are not enough. It fails when all together are not.
//
// https://kubernetes.io/docs/tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/
func Victims(a Attributes) ([]*corev1.Pod, error) {
	byClass := map[corev1.PodQOSClass][]*corev1.Pod{}
	for _, p := range a.Others {
		if preemptable(a.Pod, p) {
			class := pod.QOSClass(p)
			byClass[class] = append(byClass[class], p)
		}
	}
	bestEffort, burstable, guaranteed := byClass[corev1.PodQOSBestEffort], byClass[corev1.PodQOSBurstable], byClass[corev1.PodQOSGuaranteed]
	short := shortages(a)
	if left := short.without(bestEffort, burstable, guaranteed); len(left) > 0 {
		return nil, fmt.Errorf("preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: %s", left)
	}
	// Of each class what is short when all of the lesser classes go.
	guaranteed = short.without(bestEffort, burstable).coveredBy(guaranteed)
	burstable = short.without(bestEffort, guaranteed).coveredBy(burstable)
	bestEffort = short.without(burstable, guaranteed).coveredBy(bestEffort)
	return slices.Concat(bestEffort, burstable, guaranteed), nil
}

// preemptable says whether a pod may have to give way to another.
func preemptable(to, p *corev1.Pod) bool {
	if IsCritical(to) && !IsCritical(p) {
		return true
	}
	return p.Spec.Priority != nil && to.Spec.Priority != nil && priority(p) < priority(to)
}

// shortage is how much more of each resource is asked for than is free: CPU in
// thousandths, anything else in units.
type shortage map[corev1.ResourceName]int64

// shortages is what the node lacks for the pod beside the others.
func shortages(a Attributes) shortage {
	out := shortage{}
	for name := range pod.Requests(a.Pod) {
		if _, counted := a.Allocatable[name]; counted && requested(a.Pod, name) > 0 {
			out[name] = 0
		}
	}
	out[corev1.ResourcePods] = 0
	for name := range out {
		lack := requested(a.Pod, name) - amount(a.Allocatable, name)
		for _, p := range a.Others {
			lack += requested(p, name)
		}
		if out[name] = lack; lack <= 0 {
			delete(out, name)
		}
	}
	return out
}

func requested(p *corev1.Pod, name corev1.ResourceName) int64 {
	if name == corev1.ResourcePods {
		return 1
	}
	return amount(pod.Requests(p), name)
}

func amount(list corev1.ResourceList, name corev1.ResourceName) int64 {
	q := list[name]
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

// without is what is still short once the pods have gone.
func (s shortage) without(lists ...[]*corev1.Pod) shortage {
	out := maps.Clone(s)
	for name := range out {
		for _, p := range slices.Concat(lists...) {
			out[name] -= requested(p, name)
		}
		if out[name] <= 0 {
			delete(out, name)
		}
	}
	return out
}

// coveredBy chooses the pods whose going ends the shortage, which is known to suffice:
// whichever leaves least of it first, and of those alike the one that asks for less.
func (s shortage) coveredBy(pods []*corev1.Pod) (chosen []*corev1.Pod) {
	pods = slices.SortedFunc(slices.Values(pods), func(a, b *corev1.Pod) int {
		return cmp.Or(
			cmp.Compare(requested(a, corev1.ResourceMemory), requested(b, corev1.ResourceMemory)),
			cmp.Compare(requested(a, corev1.ResourceCPU), requested(b, corev1.ResourceCPU)),
			cmp.Compare(a.UID, b.UID))
	})
	for len(s) > 0 {
		best := slices.MinFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(s.distance(a), s.distance(b)) })
		s, chosen = s.without([]*corev1.Pod{best}), append(chosen, best)
		pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return p == best })
	}
	return chosen
}

// distance is how much of the shortage a pod's going leaves: the sum of the squares of
// the shares, so that each resource weighs the same.
func (s shortage) distance(p *corev1.Pod) (sum float64) {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if left := s[name] - requested(p, name); left > 0 {
			share := float64(left) / float64(s[name])
			sum += share * share
		}
	}
	return sum
}

func (s shortage) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "(res: %s, q: %d), ", name, s[name])
	}
	return "[" + b.String() + "]"
}
