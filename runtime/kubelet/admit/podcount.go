package admit

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// PodCount rejects a pod when the node has as many as it may.
type PodCount struct{}

// Admit implements Handler.
func (PodCount) Admit(_ context.Context, a Attributes) *Rejection {
	most := a.Allocatable[corev1.ResourcePods]
	if count := int64(len(a.Others)); count+1 > most.Value() {
		return insufficient(corev1.ResourcePods, "1", strconv.FormatInt(count, 10), most.String())
	}
	return nil
}
