package statefulset

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gantry-run/gantry/runtime/pod"
)

// This file decides what is to be created and deleted, with no API.

// view is one set and all that it decides on.
type view struct {
	set *appsv1.StatefulSet
	// slots are the pods that the set asks for, by ordinal from the first (nil:
	// missing); condemned are the others, the highest ordinal first.
	slots     []*corev1.Pod
	condemned []*corev1.Pod
	// current and update are the names of the revisions that are left and reached.
	current, update string
	// observed is the generation that counts as acted on.
	observed int64
	now      time.Time
}

// plan is what one reconciliation does.
type plan struct {
	create    []int // ordinals
	delete    []*corev1.Pod
	condemned []*corev1.Pod // of those deleted: they do not come back
}

func viewOf(set *appsv1.StatefulSet, list []*corev1.Pod, current, update string, now time.Time) view {
	v := view{set: set, slots: make([]*corev1.Pod, replicas(set)), current: current, update: update, observed: set.Generation, now: now}
	for _, p := range list {
		if i := ordinalOf(set, p) - start(set); i >= 0 && i < len(v.slots) {
			v.slots[i] = p
		} else {
			v.condemned = append(v.condemned, p)
		}
	}
	slices.SortFunc(v.condemned, func(a, b *corev1.Pod) int { return cmp.Compare(ordinalOf(set, b), ordinalOf(set, a)) })
	return v
}

func (v view) ordered() bool { return v.set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement }

func (v view) rolling() bool {
	return v.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType
}

// partition is how many of the lowest ordinals stay at the current revision.
func (v view) partition() int {
	if r := v.set.Spec.UpdateStrategy.RollingUpdate; v.rolling() && r != nil && r.Partition != nil {
		return int(*r.Partition)
	}
	return 0
}

// revisionFor is the name of the revision that a new pod is of.
func (v view) revisionFor(ordinal int) string {
	if ordinal-start(v.set) < v.partition() {
		return v.current
	}
	return v.update
}

func healthy(p *corev1.Pod) bool {
	return p != nil && p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning && pod.IsReady(p)
}

func (v view) available(p *corev1.Pod) bool {
	if !healthy(p) {
		return false
	}
	ok, _ := pod.IsAvailable(p, v.set.Spec.MinReadySeconds, v.now)
	return ok
}

// plan fills slots, then deletes condemned pods, then updates. One that keeps an
// order does one thing at a time, and the next when all before it are available.
func (v view) plan() plan {
	var out plan
	for i, p := range v.slots {
		switch {
		case p == nil:
			out.create = append(out.create, start(v.set)+i)
		case p.DeletionTimestamp != nil:
		case pod.IsTerminal(p):
			out.delete = append(out.delete, p)
		case v.available(p):
			continue
		}
		if v.ordered() {
			// Pods to be scaled down are not waited for by those that are to come, but go only
			// when these are well; the one that is not well may itself be scaled down.
			return out
		}
	}
	for _, p := range v.condemned {
		if p.DeletionTimestamp != nil {
			if v.ordered() {
				return out
			}
			continue
		}
		if v.ordered() && !healthy(p) && v.lowerUnhealthy(p) {
			return out
		}
		out.delete, out.condemned = append(out.delete, p), append(out.condemned, p)
		if v.ordered() {
			return out
		}
	}
	if v.rolling() && len(out.create) == 0 && len(out.delete) == 0 {
		out.delete = v.outdated()
	}
	return out
}

// lowerUnhealthy says whether a condemned pod of a lower ordinal is not healthy
// either: it is looked after first.
func (v view) lowerUnhealthy(p *corev1.Pod) bool {
	return slices.ContainsFunc(v.condemned, func(c *corev1.Pod) bool {
		return ordinalOf(v.set, c) < ordinalOf(v.set, p) && !healthy(c)
	})
}

// outdated are the pods that are updated now, the highest ordinal first: as many
// as may be unavailable. An old pod that is unavailable anyway costs nothing. Where an
// order is kept, all pods are available by now.
func (v view) outdated() []*corev1.Pod {
	budget := v.maxUnavailable()
	for _, p := range v.slots {
		if !v.available(p) {
			budget--
		}
	}
	var out []*corev1.Pod
	for i := len(v.slots) - 1; i >= v.partition(); i-- {
		p := v.slots[i]
		switch {
		case p.DeletionTimestamp != nil || revisionOf(p) == v.update:
		case !v.available(p):
			out = append(out, p)
		case budget > 0:
			out = append(out, p)
			budget--
		}
	}
	return out
}

// maxUnavailable is a number or a share of the replicas, rounded down, and at
// least one.
func (v view) maxUnavailable() int {
	r := v.set.Spec.UpdateStrategy.RollingUpdate
	if r == nil || r.MaxUnavailable == nil {
		return 1
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(r.MaxUnavailable, len(v.slots), false)
	if err != nil {
		return 1 // the API refuses what is neither
	}
	return max(1, n)
}
