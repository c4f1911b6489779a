package daemonset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// status counts nodes. wait is when a pod becomes available without any event.
func (v view) status() (s appsv1.DaemonSetStatus, wait time.Duration) {
	s = *v.ds.Status.DeepCopy()
	s.ObservedGeneration = v.ds.Generation
	s.DesiredNumberScheduled, s.CurrentNumberScheduled, s.NumberMisscheduled = 0, 0, 0
	s.NumberReady, s.NumberAvailable, s.UpdatedNumberScheduled = 0, 0, 0
	for _, pl := range v.nodes {
		switch {
		case pl.starts:
			s.DesiredNumberScheduled++
			if len(pl.pods) == 0 {
				continue
			}
			s.CurrentNumberScheduled++
			p := pl.pods[0]
			if i := slices.IndexFunc(pl.pods, func(p *corev1.Pod) bool { return p.Spec.NodeName != "" }); i > 0 {
				p = pl.pods[i]
			}
			if v.updated(p) {
				s.UpdatedNumberScheduled++
			}
			if pod.IsReady(p) {
				s.NumberReady++
			}
			available, left := pod.IsAvailable(p, v.ds.Spec.MinReadySeconds, v.now)
			if available {
				s.NumberAvailable++
			}
			wait = reconcile.Sooner(wait, left)
		case pl.exists && len(pl.pods) > 0:
			s.NumberMisscheduled++
		}
	}
	s.NumberUnavailable = s.DesiredNumberScheduled - s.NumberAvailable
	return s, wait
}
