package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/pod"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// addEventHandlers feeds the cache and the queue from informers: a change is in the
// cache before the queue is told, so that a pod that it moves is decided on with it.
// It returns whether the handlers have seen the initial lists.
func (l *loop) addEventHandlers(f informers.SharedInformerFactory) []toolscache.InformerSynced {
	return []toolscache.InformerSynced{
		client.Watch(f.Core().V1().Pods().Informer(), func(o *corev1.Pod) { l.setPod(nil, o) }, l.setPod, l.deletePod),
		client.Watch(f.Core().V1().Nodes().Informer(), func(o *corev1.Node) { l.setNode(nil, o) }, l.setNode, l.deleteNode),
		client.Watch(f.Core().V1().Namespaces().Informer(), func(o *corev1.Namespace) { l.setNamespace(nil, o) }, l.setNamespace, l.deleteNamespace),
		client.Watch(f.Policy().V1().PodDisruptionBudgets().Informer(), l.cache.setDisruptionBudget,
			func(_, o *policyv1.PodDisruptionBudget) { l.cache.setDisruptionBudget(o) }, l.cache.deleteDisruptionBudget),
	}
}

func (l *loop) setPod(old, p *corev1.Pod) {
	if old != nil && old.UID != p.UID { // deleted and made anew between two looks
		l.deletePod(old)
		old = nil
	}
	switch {
	case pod.IsTerminal(p):
		l.removePod(p, old != nil && !pod.IsTerminal(old))
	case p.Spec.NodeName != "":
		l.setAssignedPod(old, p)
	case l.profileOf(p) != nil && p.DeletionTimestamp == nil && len(p.Spec.SchedulingGates) == 0:
		l.setUnscheduledPod(old, p)
	default: // being deleted, gated, or another scheduler's
		l.queue.remove(p.UID)
	}
}

// setAssignedPod accounts a pod on its node. Updates that change nothing about its
// place are most of all events, so they end early.
func (l *loop) setAssignedPod(old, p *corev1.Pod) {
	if old != nil && (old.Spec.NodeName != p.Spec.NodeName || pod.IsTerminal(old)) {
		old = nil // it was on no node, or on none any more
	}
	if old != nil && (old.DeletionTimestamp == nil) == (p.DeletionTimestamp == nil) &&
		labels.Equals(old.Labels, p.Labels) && sameResources(old, p) {
		if !old.Status.StartTime.Equal(p.Status.StartTime) { // it says who gives way first
			l.cache.change(func(s *core.Snapshot) { s.SetPodStatus(p) })
		}
		return
	}
	l.queue.remove(p.UID)
	compiled, err := core.NewPodInfo(p)
	if err != nil {
		l.log.Error("a bound pod cannot be understood: its node may be filled too far", "error", err)
		return
	}
	if node := l.cache.addPod(compiled, p.Spec.NodeName); node != "" && node != p.Spec.NodeName {
		l.log.Warn("pod was bound to another node than decided", "pod", p.Namespace+"/"+p.Name, "decided", node, "node", p.Spec.NodeName)
	}
	if old == nil {
		l.moved(framework.AssignedPod, framework.Add, nil, compiled)
		return
	}
	before, err := core.NewPodInfo(old)
	if err != nil {
		before = compiled // it could not be understood; what it is now counts
	}
	l.moved(framework.AssignedPod, framework.Update, before, compiled)
}

// sameResources says whether two states of a pod take the same of their node: the rest of
// a spec cannot change. One that is resized takes what its status says, too.
func sameResources(a, b *corev1.Pod) bool {
	if !equality.Semantic.DeepEqual(a.Spec.Containers, b.Spec.Containers) ||
		!equality.Semantic.DeepEqual(a.Spec.InitContainers, b.Spec.InitContainers) ||
		!equality.Semantic.DeepEqual(a.Spec.Resources, b.Spec.Resources) {
		return false
	}
	told := equality.Semantic.DeepEqual(a.Status.Resources, b.Status.Resources) &&
		equality.Semantic.DeepEqual(a.Status.AllocatedResources, b.Status.AllocatedResources)
	return told || equality.Semantic.DeepEqual(pod.Reserved(a), pod.Reserved(b))
}

func (l *loop) setUnscheduledPod(old, p *corev1.Pod) {
	if l.cache.isAssumed(p.UID) {
		return // being bound
	}
	compiled, err := core.NewPodInfo(p)
	if err != nil {
		l.queue.remove(p.UID)
		l.events.Event(p, corev1.EventTypeWarning, "FailedScheduling", err.Error())
		return
	}
	var nominated string
	if old != nil {
		nominated = old.Status.NominatedNodeName
	}
	switch node := p.Status.NominatedNodeName; {
	case node == nominated:
	case node == "":
		l.cache.change(func(s *core.Snapshot) { s.Unnominate(p.UID) })
	default:
		l.cache.change(func(s *core.Snapshot) { s.Nominate(compiled, node) })
	}
	if nominated != "" && nominated != p.Status.NominatedNodeName { // others may have what was kept for it
		l.moved(framework.AssignedPod, framework.Delete, compiled, nil)
	}
	l.queue.add(compiled, old == nil || asksForMore(old, p))
}

// asksForMore says whether a pod that waits changed in what its placement depends on: the
// claims that were made for it, too.
func asksForMore(old, p *corev1.Pod) bool {
	return !labels.Equals(old.Labels, p.Labels) || !equality.Semantic.DeepEqual(old.Spec, p.Spec) ||
		!equality.Semantic.DeepEqual(old.Status.ResourceClaimStatuses, p.Status.ResourceClaimStatuses)
}

// deletePod forgets a pod that is gone.
func (l *loop) deletePod(p *corev1.Pod) { l.removePod(p, !pod.IsTerminal(p)) }

// removePod forgets a pod that is gone or has ended. ends: it had not ended before, so
// that the room that it had, or was to have, is free only now. Later events of an ended
// pod free nothing, and move no pod that waits for room.
func (l *loop) removePod(p *corev1.Pod, ends bool) {
	l.queue.remove(p.UID)
	l.evictor.forget(p.UID)
	assumed := l.cache.removePod(p.UID)
	held := p.Spec.NodeName != "" || p.Status.NominatedNodeName != ""
	if !assumed && (!ends || !held) {
		return
	}
	compiled, err := core.NewPodInfo(p)
	if err != nil {
		return // it was never accounted
	}
	l.moved(framework.AssignedPod, framework.Delete, compiled, nil)
}

func (l *loop) setNode(old, n *corev1.Node) {
	actions := framework.Add
	if old != nil {
		actions = nodeChanges(old, n)
		if actions == framework.None && sameImages(old, n) && core.SameVolumes(old, n) {
			return // a heartbeat, as most of a node's updates
		}
	}
	l.cache.change(func(s *core.Snapshot) { s.SetNode(n) })
	if old != nil && core.Detached(old, n) { // which saves watching attachments
		l.moved(framework.VolumeAttachment, framework.Delete, nil, nil)
	}
	if actions == framework.None {
		return
	}
	if old == nil {
		l.moved(framework.Node, actions, nil, n)
		return
	}
	l.moved(framework.Node, actions, old, n)
}

// nodeChanges says what changed of a node that matters to which pods it can take.
func nodeChanges(a, b *corev1.Node) (changes framework.ActionType) {
	if !equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable) {
		changes |= framework.UpdateNodeAllocatable
	}
	if !labels.Equals(a.Labels, b.Labels) {
		changes |= framework.UpdateNodeLabel
	}
	if a.Spec.Unschedulable != b.Spec.Unschedulable || !equality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints) {
		changes |= framework.UpdateNodeTaint
	}
	return changes
}

func sameImages(a, b *corev1.Node) bool {
	return slices.EqualFunc(a.Status.Images, b.Status.Images, func(x, y corev1.ContainerImage) bool {
		return x.SizeBytes == y.SizeBytes && slices.Equal(x.Names, y.Names)
	})
}

func (l *loop) deleteNode(n *corev1.Node) {
	l.cache.change(func(s *core.Snapshot) { s.RemoveNode(n.Name) })
	l.moved(framework.Node, framework.Delete, n, nil)
}

func (l *loop) setNamespace(old, ns *corev1.Namespace) {
	if old != nil && labels.Equals(old.Labels, ns.Labels) {
		return
	}
	l.cache.change(func(s *core.Snapshot) { s.SetNamespace(ns.Name, ns.Labels) })
	l.moved(core.Namespace, framework.Update, nil, ns)
}

func (l *loop) deleteNamespace(ns *corev1.Namespace) {
	l.cache.change(func(s *core.Snapshot) { s.RemoveNamespace(ns.Name) })
}
