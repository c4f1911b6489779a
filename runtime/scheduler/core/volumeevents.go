package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/pod"
)

// EventsToRegister: volumes, claims, classes and capacities come and change, and nodes come
// into the topology of one.
func (*volumeBinding) EventsToRegister() []ClusterEventWithHint {
	event := func(r framework.EventResource, actions framework.ActionType, hint QueueingHint) ClusterEventWithHint {
		return ClusterEventWithHint{Event: framework.ClusterEvent{Resource: r, ActionType: actions}, Hint: hint}
	}
	return []ClusterEventWithHint{
		event(framework.StorageClass, framework.Add|framework.Update, func(_ *PodInfo, old, now any) bool {
			o, _ := old.(*storagev1.StorageClass)
			n, _ := now.(*storagev1.StorageClass)
			return o == nil || n == nil || !equality.Semantic.DeepEqual(o.AllowedTopologies, n.AllowedTopologies)
		}),
		event(framework.PersistentVolumeClaim, framework.Add|framework.Update, ownClaim),
		event(framework.PersistentVolume, framework.Add|framework.Update, nil),
		event(framework.Node, framework.Add|framework.UpdateNodeLabel, nil),
		event(framework.CSIStorageCapacity, framework.Add|framework.Update, func(_ *PodInfo, old, now any) bool {
			o, _ := old.(*storagev1.CSIStorageCapacity)
			n, _ := now.(*storagev1.CSIStorageCapacity)
			if o == nil || n == nil {
				return true
			}
			was, is := volumeLimit(o), volumeLimit(n)
			return is != nil && (was == nil || is.Cmp(*was) > 0)
		}),
	}
}

// ownClaim: the claim is the pod's.
func ownClaim(p *PodInfo, _, now any) bool {
	c, ok := now.(*corev1.PersistentVolumeClaim)
	return ok && c.Namespace == p.Pod.Namespace && slices.Contains(pod.ClaimNames(p.Pod), c.Name)
}

// volumeLimit is the size of the largest volume that a capacity has room for.
func volumeLimit(c *storagev1.CSIStorageCapacity) *resource.Quantity {
	if c.MaximumVolumeSize != nil {
		return c.MaximumVolumeSize
	}
	return c.Capacity
}
