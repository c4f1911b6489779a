package resourcequota

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apiquota "k8s.io/apiserver/pkg/quota/v1"

	"github.com/gantry-run/gantry/runtime/quota"
)

// statusOf is the status of a quota of which this much is found to be used. What could
// not be added up keeps its last figure.
func statusOf(q *corev1.ResourceQuota, found corev1.ResourceList) corev1.ResourceQuotaStatus {
	hard := apiquota.Add(corev1.ResourceList{}, q.Spec.Hard)
	used := apiquota.Add(corev1.ResourceList{}, q.Status.Used)
	for name, n := range found {
		used[name] = n
	}
	return corev1.ResourceQuotaStatus{Hard: hard, Used: apiquota.Mask(used, apiquota.ResourceNames(hard))}
}

// podFreed says whether an update may have changed what a pod costs, or the scopes that
// it is in.
func podFreed(old, now *corev1.Pod, at time.Time) bool {
	return quota.Terminating(old) != quota.Terminating(now) ||
		quota.Charged(old, at) && !quota.Charged(now, at) ||
		resized(old.Status.ContainerStatuses, now.Status.ContainerStatuses) ||
		resized(old.Status.InitContainerStatuses, now.Status.InitContainerStatuses)
}

// resized says whether a container has other resources than it had.
func resized(old, now []corev1.ContainerStatus) bool {
	for _, o := range old {
		for _, n := range now {
			if n.Name == o.Name && !equality.Semantic.DeepEqual(o.Resources, n.Resources) {
				return true
			}
		}
	}
	return false
}
