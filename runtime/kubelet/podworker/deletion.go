package podworker

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
)

// deletion is when a pod is to be gone.
type deletion struct {
	stamp time.Time // by the clock of the API
	ends  time.Time // by ours
}

// deadline is when the grace of a pod that was deleted is over; zero: it was not. It runs
// from when the deletion is seen: the clocks of servers may differ by more than a grace.
func (d *deletion) deadline(p *corev1.Pod) time.Time {
	if p.DeletionTimestamp == nil {
		return time.Time{}
	}
	if stamp := p.DeletionTimestamp.Time; !stamp.Equal(d.stamp) {
		*d = deletion{stamp, time.Now().Add(plan.Grace(p))}
	}
	return d.ends
}
