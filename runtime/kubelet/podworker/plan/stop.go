package plan

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

const (
	defaultGrace = 30 * time.Second
	// minGrace is what is left of a grace that is over for a container that was not
	// told to end yet.
	minGrace = time.Second
)

// ToStop are the running containers that are to be ended next when the pod ends: all
// but the sidecars at once, then the sidecars, the last first. Empty when nothing runs.
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#termination-of-pods
func ToStop(v View) []*container.Container {
	var first []*container.Container
	for name, c := range v.Containers {
		if c.State != container.StateRunning {
			continue
		}
		// A main container may have the restart policy of a sidecar.
		if spec, kind := pod.FindContainer(&v.Pod.Spec, name); kind != pod.InitContainers || !pod.IsSidecar(spec) {
			first = append(first, c)
		}
	}
	if len(first) > 0 {
		slices.SortFunc(first, func(a, b *container.Container) int { return strings.Compare(a.Name, b.Name) })
		return first
	}
	sidecars := runningSidecars(v)
	if len(sidecars) == 0 || graceIsOver(v.Deadline, v.Now) {
		return sidecars
	}
	return sidecars[:1]
}

// runningSidecars are those that run, the last of the spec first.
func runningSidecars(v View) []*container.Container {
	var out []*container.Container
	for _, c := range pod.Containers(&v.Pod.Spec, pod.InitContainers) {
		if cur := v.Containers[c.Name]; cur != nil && cur.State == container.StateRunning {
			out = append(out, cur)
		}
	}
	slices.Reverse(out)
	return out
}

// Grace is how long the pod's containers have to end.
func Grace(p *corev1.Pod) time.Duration {
	switch {
	case p.DeletionGracePeriodSeconds != nil:
		return time.Duration(*p.DeletionGracePeriodSeconds) * time.Second
	case p.Spec.TerminationGracePeriodSeconds != nil:
		return time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second
	}
	return defaultGrace
}

// StopGrace is what a container that is told to end now has, of a grace that ends at the
// deadline (zero: it has none): also of sidecars, which wait for the others.
func StopGrace(deadline time.Time, grace time.Duration, now time.Time) time.Duration {
	if deadline.IsZero() || grace <= 0 {
		return grace
	}
	return max(min(grace, deadline.Sub(now)), minGrace)
}

// KillGrace is that of a container that is killed alone: a probe may have one of its own.
func KillGrace(p *corev1.Pod, name string) time.Duration {
	if c, _ := pod.FindContainer(&p.Spec, name); c != nil {
		for _, probe := range []*corev1.Probe{c.LivenessProbe, c.StartupProbe} {
			if probe != nil && probe.TerminationGracePeriodSeconds != nil {
				return time.Duration(*probe.TerminationGracePeriodSeconds) * time.Second
			}
		}
	}
	return Grace(p)
}

func graceIsOver(deadline, now time.Time) bool {
	return !deadline.IsZero() && !now.Before(deadline)
}
