package daemonset

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// This file decides from nodes and pods what is to be created and deleted, with
// no API.

// burst bounds the pods created or deleted in one reconciliation.
const burst = 250

// nodePods is one node as a set sees it: whether its pods belong there, and those
// that are there or meant for it, oldest first.
type nodePods struct {
	node          string
	exists        bool
	starts, stays bool
	pods          []*corev1.Pod
}

// view is one set and all that it decides on.
type view struct {
	ds    *appsv1.DaemonSet
	hash  string // of the present template
	nodes []nodePods
	now   time.Time
	// pause is how long a node on which a pod failed is still to wait.
	pause func(node string) time.Duration
}

// plan is what one reconciliation does.
type plan struct {
	create []string // names of nodes
	delete []*corev1.Pod
	failed []*corev1.Pod // of those deleted: they have ended, which they should never
	wait   time.Duration // until a pause ends (0: none)
}

// podsByNode sorts pods to the nodes.
func podsByNode(ds *appsv1.DaemonSet, nodes []*corev1.Node, list []*corev1.Pod) ([]nodePods, error) {
	on := map[string][]*corev1.Pod{}
	for _, p := range list {
		on[nodeOf(p)] = append(on[nodeOf(p)], p)
	}
	pl := placingOf(ds)
	out := make([]nodePods, 0, len(nodes))
	for _, n := range nodes {
		starts, stays, err := pl.fits(n)
		if err != nil {
			return nil, err
		}
		out = append(out, nodePods{node: n.Name, exists: true, starts: starts, stays: stays, pods: on[n.Name]})
		delete(on, n.Name)
	}
	for node, list := range on {
		out = append(out, nodePods{node: node, pods: list})
	}
	slices.SortFunc(out, func(a, b nodePods) int { return cmp.Compare(a.node, b.node) })
	for _, p := range out {
		slices.SortFunc(p.pods, func(a, b *corev1.Pod) int {
			return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
		})
	}
	return out, nil
}

// plan gives each node its pod. Only when each has one, pods are updated.
func (v view) plan() plan {
	p := v.fill()
	if len(p.create) == 0 && len(p.delete) == 0 && v.ds.Spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		wait := p.wait
		p = v.roll()
		p.wait = wait
	}
	if len(p.create) > burst {
		p.create = p.create[:burst]
	}
	if len(p.delete) > burst {
		p.delete = p.delete[:burst]
	}
	return p
}

// fill starts missing pods and deletes those that are too many, have ended, or
// do not belong where they are.
func (v view) fill() plan {
	var out plan
	surges, _ := v.limits()
	for _, pl := range v.nodes {
		switch {
		case !pl.exists:
			// What was bound there is left to pod GC, which knows how long a node may be away.
			for _, p := range pl.pods {
				if p.Spec.NodeName == "" && p.DeletionTimestamp == nil {
					out.delete = append(out.delete, p)
				}
			}
		case pl.stays:
			var run []*corev1.Pod
			for _, p := range pl.pods {
				switch {
				case p.DeletionTimestamp != nil:
				case pod.IsTerminal(p):
					if left := v.pause(pl.node); left > 0 {
						out.wait = reconcile.Sooner(out.wait, left)
						continue
					}
					out.delete, out.failed = append(out.delete, p), append(out.failed, p)
				default:
					run = append(run, p)
				}
			}
			out.delete = append(out.delete, v.surplus(run, surges > 0)...)
			if pl.starts && len(pl.pods) == 0 {
				out.create = append(out.create, pl.node)
			}
		default:
			for _, p := range pl.pods {
				if p.DeletionTimestamp == nil {
					out.delete = append(out.delete, p)
				}
			}
		}
	}
	return out
}

// surplus are the pods beyond one on a node. During a surge there may be one old
// and one new.
func (v view) surplus(run []*corev1.Pod, surges bool) []*corev1.Pod {
	if !surges {
		return run[min(1, len(run)):]
	}
	var out []*corev1.Pod
	var old, updated bool
	for _, p := range run {
		seen := &old
		if v.updated(p) {
			seen = &updated
		}
		if *seen {
			out = append(out, p)
		}
		*seen = true
	}
	return out
}

func (v view) updated(p *corev1.Pod) bool {
	return p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] == v.hash
}

func (v view) available(p *corev1.Pod) bool {
	ok, _ := pod.IsAvailable(p, v.ds.Spec.MinReadySeconds, v.now)
	return ok && p.DeletionTimestamp == nil
}

// limits are maxSurge and maxUnavailable of the nodes that should have a pod. A
// share is rounded up. They are never both zero, since then nothing could move.
func (v view) limits() (surge, unavailable int) {
	r := v.ds.Spec.UpdateStrategy.RollingUpdate
	if v.ds.Spec.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType || r == nil {
		return 0, 1
	}
	desired := 0
	for _, pl := range v.nodes {
		if pl.starts {
			desired++
		}
	}
	// The API has refused what is neither a number nor a share.
	surge, _ = intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(r.MaxSurge, intstr.FromInt32(0)), desired, true)
	unavailable, _ = intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(r.MaxUnavailable, intstr.FromInt32(1)), desired, true)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, unavailable
}

// roll replaces pods of older templates: by deleting them, since fill then makes
// new ones, or with a surge by starting the new one first. An old pod that is not
// available is replaced at once, since nothing is lost with it, but counts as one of
// those that may be unavailable.
func (v view) roll() plan {
	surge, unavailable := v.limits()
	var out plan
	var atOnce, later []nodePods // to be replaced at once; as far as the limit allows
	used := 0                    // of the limit
	for _, pl := range v.nodes {
		if !pl.exists || !pl.stays {
			continue
		}
		var old, updated *corev1.Pod
		for _, p := range pl.pods {
			switch {
			case p.DeletionTimestamp != nil || pod.IsTerminal(p):
			case v.updated(p):
				updated = p
			default:
				old = p
			}
		}
		switch {
		case old == nil && updated == nil:
			if surge == 0 && (pl.starts || len(pl.pods) > 0) {
				used++
			}
		case old == nil:
			if surge == 0 && !v.available(updated) {
				used++
			}
		case updated == nil:
			target := &later
			if !v.available(old) {
				target = &atOnce
				if surge == 0 {
					used++ // it is unavailable, replaced or not
				}
			}
			// A surge starts a pod, which a node may have come to refuse.
			if surge == 0 || pl.starts {
				*target = append(*target, nodePods{node: pl.node, pods: []*corev1.Pod{old}})
			}
		default: // surged onto
			used++
			if v.available(updated) {
				out.delete = append(out.delete, old)
			}
		}
	}
	limit := unavailable
	if surge > 0 {
		limit = surge
	}
	for _, pl := range append(atOnce, later[:min(len(later), max(0, limit-used))]...) {
		if surge > 0 {
			out.create = append(out.create, pl.node)
		} else {
			out.delete = append(out.delete, pl.pods...)
		}
	}
	return out
}
