package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-scheduler/framework"
)

// Namespace is the resource of events about namespaces, which affinity terms choose
// by their labels.
const Namespace framework.EventResource = "Namespace"

// ClusterEventWithHint is a kind of event that may help a rejected pod.
type ClusterEventWithHint struct {
	Event framework.ClusterEvent
	// Hint says whether the event at hand does; nil: it always may.
	Hint QueueingHint
}

// QueueingHint says whether a pod that waits is worth another attempt after a
// change of an object: old is nil for one that is new, now for one that is gone.
// Nodes are *corev1.Node, pods are *PodInfo.
type QueueingHint func(p *PodInfo, old, now any) bool

// Matches says whether an event is of a kind that is registered for.
func (e ClusterEventWithHint) Matches(event framework.ClusterEvent) bool {
	return e.Event.Resource == event.Resource && e.Event.ActionType&event.ActionType != 0
}

// nodeEvent helps a pod when a node comes to satisfy a rule that it did not satisfy.
func nodeEvent(actions framework.ActionType, satisfies func(*PodInfo, *corev1.Node) bool) ClusterEventWithHint {
	return ClusterEventWithHint{
		Event: framework.ClusterEvent{Resource: framework.Node, ActionType: actions},
		Hint: func(p *PodInfo, old, now any) bool {
			n, _ := now.(*corev1.Node)
			o, _ := old.(*corev1.Node)
			return n != nil && satisfies(p, n) && (o == nil || !satisfies(p, o))
		},
	}
}

// podEvent helps a pod when a change of a pod on a node does; old or now is nil.
func podEvent(actions framework.ActionType, helps func(p, old, now *PodInfo) bool) ClusterEventWithHint {
	return ClusterEventWithHint{
		Event: framework.ClusterEvent{Resource: framework.AssignedPod, ActionType: actions},
		Hint: func(p *PodInfo, old, now any) bool {
			o, _ := old.(*PodInfo)
			n, _ := now.(*PodInfo)
			return helps(p, o, n)
		},
	}
}
