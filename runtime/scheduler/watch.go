package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// watch feeds the cluster's state and the queue from informers. It returns whether
// the handlers have seen the initial lists.
func (w *worker) watch(f informers.SharedInformerFactory) []cache.InformerSynced {
	return []cache.InformerSynced{
		handle(f.Core().V1().Pods().Informer(), w.podSet, w.podGone),
		handle(f.Core().V1().Nodes().Informer(), w.nodeSet, w.nodeGone),
		handle(f.Core().V1().Namespaces().Informer(), w.namespaceSet, w.namespaceGone),
	}
}

// handle calls set with the former state (nil when new) and the present one.
func handle[T any](informer cache.SharedInformer, set func(old, now *T), gone func(*T)) cache.InformerSynced {
	reg, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { set(nil, obj.(*T)) },
		UpdateFunc: func(old, now any) {
			set(old.(*T), now.(*T))
		},
		DeleteFunc: func(obj any) {
			if missed, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = missed.Obj
			}
			if o, ok := obj.(*T); ok {
				gone(o)
			}
		},
	})
	if err != nil { // the informer has already stopped: nothing will ever be seen
		return func() bool { return false }
	}
	return reg.HasSynced
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func (w *worker) podSet(old, p *corev1.Pod) {
	if old != nil && old.UID != p.UID { // deleted and made anew between two looks
		w.podGone(old)
		old = nil
	}
	switch {
	case ended(p):
		w.podGone(p)
	case p.Spec.NodeName != "":
		w.bound(old, p)
	case p.Spec.SchedulerName == schedulerName && p.DeletionTimestamp == nil && len(p.Spec.SchedulingGates) == 0:
		w.pending(old, p)
	default: // being deleted, gated, or another scheduler's
		w.queue.remove(p.UID)
	}
}

// bound accounts a pod on its node. Updates that change nothing about its place
// are most of all events, so they end early.
func (w *worker) bound(old, p *corev1.Pod) {
	if old != nil && old.Spec.NodeName == p.Spec.NodeName && !ended(old) && old.DeletionTimestamp == nil == (p.DeletionTimestamp == nil) &&
		labels.Equals(old.Labels, p.Labels) && equality.Semantic.DeepEqual(old.Spec.Containers, p.Spec.Containers) {
		return
	}
	w.queue.remove(p.UID)
	compiled, err := core.NewPod(p)
	if err != nil {
		w.log.Error("a bound pod cannot be understood: its node may be filled too far", "error", err)
		return
	}
	w.mu.Lock()
	a := w.assumed[p.UID]
	delete(w.assumed, p.UID)
	w.cluster.Place(compiled, p.Spec.NodeName)
	w.mu.Unlock()
	if a != nil && a.node != p.Spec.NodeName {
		w.log.Warn("pod was bound to another node than decided", "pod", p.Namespace+"/"+p.Name, "decided", a.node, "node", p.Spec.NodeName)
	}
	// A pod on a node can only help those that wait for company or for balance.
	w.queue.stir(func(waiting *core.Pod) bool { return waiting.LooksAtPods() })
}

func (w *worker) pending(old, p *corev1.Pod) {
	w.mu.Lock()
	_, assumed := w.assumed[p.UID]
	w.mu.Unlock()
	if assumed {
		return // being bound
	}
	changed := old == nil || !labels.Equals(old.Labels, p.Labels) || !equality.Semantic.DeepEqual(old.Spec, p.Spec)
	compiled, err := core.NewPod(p)
	if err != nil {
		w.queue.remove(p.UID)
		w.events.Event(p, corev1.EventTypeWarning, "FailedScheduling", err.Error())
		return
	}
	w.queue.add(compiled, changed)
}

func (w *worker) podGone(p *corev1.Pod) {
	w.queue.remove(p.UID)
	w.mu.Lock()
	_, placed := w.cluster.NodeOf(p.UID)
	delete(w.assumed, p.UID)
	w.cluster.Remove(p.UID)
	w.mu.Unlock()
	if placed {
		w.queue.stir(nil)
	}
}

func (w *worker) nodeSet(old, n *corev1.Node) {
	if old != nil && sameForPlacement(old, n) {
		return
	}
	w.mu.Lock()
	w.cluster.SetNode(n)
	w.mu.Unlock()
	w.queue.stir(nil)
}

// sameForPlacement passes over heartbeats, which are most of a node's updates.
func sameForPlacement(a, b *corev1.Node) bool {
	return a.Spec.Unschedulable == b.Spec.Unschedulable && labels.Equals(a.Labels, b.Labels) &&
		equality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints) &&
		equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable) &&
		slices.EqualFunc(a.Status.Images, b.Status.Images, func(x, y corev1.ContainerImage) bool {
			return x.SizeBytes == y.SizeBytes && slices.Equal(x.Names, y.Names)
		})
}

func (w *worker) nodeGone(n *corev1.Node) {
	w.mu.Lock()
	w.cluster.RemoveNode(n.Name)
	w.mu.Unlock()
	// Fewer nodes may satisfy what spreading forbade.
	w.queue.stir(func(waiting *core.Pod) bool { return waiting.LooksAtPods() })
}

func (w *worker) namespaceSet(old, ns *corev1.Namespace) {
	if old != nil && labels.Equals(old.Labels, ns.Labels) {
		return
	}
	w.mu.Lock()
	w.cluster.SetNamespace(ns.Name, ns.Labels)
	w.mu.Unlock()
	w.queue.stir(func(waiting *core.Pod) bool { return waiting.LooksAtPods() })
}

func (w *worker) namespaceGone(ns *corev1.Namespace) {
	w.mu.Lock()
	w.cluster.RemoveNamespace(ns.Name)
	w.mu.Unlock()
}
