package eviction

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// Upstream's messages, which people and their tools search for.
const (
	emptyDirMessage  = "Usage of EmptyDir volume %q exceeds the limit %q. "
	podMessage       = "Pod ephemeral local storage usage exceeds the total limit of containers %s. "
	containerMessage = "Container %s exceeded its local ephemeral storage limit %q. "
)

// limited says whether a pod has a limit of local storage. Without one its disks are not
// looked at.
func limited(p *corev1.Pod) bool {
	for i := range p.Spec.Volumes {
		if sizeLimit(&p.Spec.Volumes[i]) != nil {
			return true
		}
	}
	_, ok := pod.Limits(p)[corev1.ResourceEphemeralStorage]
	return ok
}

// overLimit says which limit of local storage a pod is over, first those of its volumes,
// then its own, then those of its containers; "": none.
//
// https://kubernetes.io/docs/concepts/storage/ephemeral-storage/
func overLimit(p *corev1.Pod, use *statsapi.PodStats) string {
	return cmp.Or(overSizeLimit(p, use), overPodLimit(p, use), overContainerLimit(p, use))
}

func overSizeLimit(p *corev1.Pod, use *statsapi.PodStats) string {
	taken := map[string]*uint64{}
	for i := range use.VolumeStats {
		taken[use.VolumeStats[i].Name] = use.VolumeStats[i].UsedBytes
	}
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if limit := sizeLimit(v); limit != nil && over(*limit, taken[v.Name]) {
			return fmt.Sprintf(emptyDirMessage, v.Name, limit)
		}
	}
	return ""
}

// sizeLimit is that of a volume on the node's disk; nil: it has none. One in memory cannot
// grow beyond its own.
func sizeLimit(v *corev1.Volume) *resource.Quantity {
	if v.EmptyDir == nil || v.EmptyDir.Medium == corev1.StorageMediumMemory || v.EmptyDir.SizeLimit == nil || v.EmptyDir.SizeLimit.Sign() <= 0 {
		return nil
	}
	return v.EmptyDir.SizeLimit
}

// overPodLimit compares all that a pod takes with what its containers may together. As
// upstream, containers without a limit add nothing to it.
func overPodLimit(p *corev1.Pod, use *statsapi.PodStats) string {
	limit, ok := pod.Limits(p)[corev1.ResourceEphemeralStorage]
	if ok && use.EphemeralStorage != nil && over(limit, use.EphemeralStorage.UsedBytes) {
		return fmt.Sprintf(podMessage, limit.String())
	}
	return ""
}

// overContainerLimit compares what a container writes to its layer and its logs with its
// own limit. That of an init container that has to end counts for the pod only.
func overContainerLimit(p *corev1.Pod, use *statsapi.PodStats) string {
	for i := range use.Containers {
		c := &use.Containers[i]
		spec, kind := pod.FindContainer(&p.Spec, c.Name)
		if sidecar := kind == pod.InitContainers && pod.IsSidecar(spec); kind != pod.MainContainers && !sidecar {
			continue
		}
		limit, ok := spec.Resources.Limits[corev1.ResourceEphemeralStorage]
		if taken := bytesOf(c.Rootfs) + bytesOf(c.Logs); ok && !limit.IsZero() && over(limit, &taken) {
			return fmt.Sprintf(containerMessage, c.Name, limit.String())
		}
	}
	return ""
}

// over says whether more is taken than may be; what is not known (nil) is not.
func over(limit resource.Quantity, taken *uint64) bool {
	return taken != nil && resource.NewQuantity(int64(*taken), resource.BinarySI).Cmp(limit) > 0
}

func bytesOf(s *statsapi.FsStats) uint64 {
	if s == nil || s.UsedBytes == nil {
		return 0
	}
	return *s.UsedBytes
}
