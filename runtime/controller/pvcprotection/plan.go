package pvcprotection

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/storage/ephemeral"

	"github.com/gantry-run/gantry/runtime/pod"
)

// needs says whether a claim must stay for a pod. A pod on no node does not start any more
// with a claim that is being deleted.
func needs(p *corev1.Pod, c *corev1.PersistentVolumeClaim) bool {
	return p.Spec.NodeName != "" && names(p, c, !shutDown(p))
}

// refersTo says whether a pod that has not ended names the claim.
func refersTo(p *corev1.Pod, c *corev1.PersistentVolumeClaim) bool {
	return !pod.IsTerminal(p) && names(p, c, true)
}

// names says whether a volume of the pod is the claim. One of an ephemeral volume goes with
// its pod, so it counts while that is there.
func names(p *corev1.Pod, c *corev1.PersistentVolumeClaim, ephemeralToo bool) bool {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == c.Name,
			ephemeralToo && v.Ephemeral != nil && ephemeral.VolumeClaimName(p, v) == c.Name && ephemeral.VolumeIsForPod(p, c) == nil:
			return true
		}
	}
	return false
}

// shutDown says whether the pod's node is done with it, or was told to forget it. Such a
// pod may wait for its claim to go.
func shutDown(p *corev1.Pod) bool {
	return p.DeletionTimestamp != nil && p.DeletionGracePeriodSeconds != nil && *p.DeletionGracePeriodSeconds == 0
}
