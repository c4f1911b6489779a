package core

import (
	resourcev1 "k8s.io/api/resource/v1"
	claimhelper "k8s.io/dynamic-resource-allocation/resourceclaim"
	"k8s.io/kube-scheduler/framework"
)

// EventsToRegister: claims are made and given back, devices and classes come. That claims were
// made for the pod itself, its own change tells.
func (*dynamicResources) EventsToRegister() []ClusterEventWithHint {
	event := func(r framework.EventResource, actions framework.ActionType, hint QueueingHint) ClusterEventWithHint {
		return ClusterEventWithHint{Event: framework.ClusterEvent{Resource: r, ActionType: actions}, Hint: hint}
	}
	return []ClusterEventWithHint{
		event(framework.ResourceClaim, framework.All, claimHelps),
		event(framework.ResourceSlice, framework.Add|framework.Update|framework.Delete, nil),
		event(framework.DeviceClass, framework.Add|framework.Update, nil),
		event(framework.Node, framework.Add|framework.UpdateNodeLabel|framework.UpdateNodeTaint, nil),
	}
}

// claimHelps: the pod's own changes, or another's gives its devices back.
func claimHelps(p *PodInfo, old, now any) bool {
	before, _ := old.(*resourcev1.ResourceClaim)
	after, _ := now.(*resourcev1.ResourceClaim)
	if before != nil && before.Status.Allocation != nil && (after == nil || after.Status.Allocation == nil) {
		return true
	}
	if after == nil || after.Namespace != p.Pod.Namespace {
		return false
	}
	for name := range claimhelper.PodClaims(p.Pod) {
		if name == after.Name {
			return true
		}
	}
	return false
}
