package replicaset

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/pods"
)

// burst bounds the pods created or deleted in one reconciliation.
const burst = 500

// plan is what one reconciliation does about the number of pods.
type plan struct {
	create int
	delete []*corev1.Pod
}

// planReplicas compares the active pods with the number that is desired. related are pods of other
// replica sets of the same owner, by which crowded nodes are known.
func planReplicas(want int, active, related []*corev1.Pod, now time.Time) plan {
	diff := len(active) - want
	switch {
	case diff < 0:
		return plan{create: min(-diff, burst)}
	case diff > 0:
		return plan{delete: pods.Rank(active, related, now)[:min(diff, burst)]}
	}
	return plan{}
}
