package podautoscaler

import (
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/gantry-run/gantry/runtime/pod"
)

const (
	// cpuInitialization is how long after its start a pod's use of CPU may be that of its
	// start, and does not count before the pod has been ready for a whole sample.
	cpuInitialization = 5 * time.Minute
	// initialReadinessDelay is how long after its start a pod that becomes unready counts as
	// one that has never been ready.
	initialReadinessDelay = 30 * time.Second
)

// sample is what a pod was seen to use, in thousandths, and over which time until when.
type sample struct {
	value  int64
	at     time.Time
	window time.Duration
}

// samples are those of pods, by name.
type samples map[string]sample

// groups are pods by what is known of their use.
type groups struct {
	ready   int      // with a sample that counts
	unready []string // whose use tells nothing of what they will use
	missing []string // without a sample
	ignored []string // that have failed or end
}

// groupPods divides pods. Only of CPU is the use of pods that are not ready left out: they
// may use much of it while they start.
func groupPods(pods []*corev1.Pod, seen samples, name corev1.ResourceName, now time.Time) groups {
	var g groups
	for _, p := range pods {
		s, known := seen[p.Name]
		switch {
		case p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed:
			g.ignored = append(g.ignored, p.Name)
		case p.Status.Phase == corev1.PodPending:
			g.unready = append(g.unready, p.Name)
		case !known:
			g.missing = append(g.missing, p.Name)
		case name == corev1.ResourceCPU && starts(p, s, now):
			g.unready = append(g.unready, p.Name)
		default:
			g.ready++
		}
	}
	return g
}

// starts says whether what a pod was seen to use may be that of its start.
func starts(p *corev1.Pod, s sample, now time.Time) bool {
	ready := pod.Condition(&p.Status, corev1.PodReady)
	if ready == nil || p.Status.StartTime == nil {
		return true
	}
	since := ready.LastTransitionTime.Time
	if p.Status.StartTime.Add(cpuInitialization).After(now) {
		return ready.Status == corev1.ConditionFalse || s.at.Before(since.Add(s.window))
	}
	return ready.Status == corev1.ConditionFalse && p.Status.StartTime.Add(initialReadinessDelay).After(since)
}

// of returns the samples of pods that count for themselves.
func (g groups) of(seen samples) samples {
	out := maps.Clone(seen)
	for _, names := range [][]string{g.ignored, g.unready} {
		for _, name := range names {
			delete(out, name)
		}
	}
	return out
}

// countReady is how many pods run and are ready.
func countReady(pods []*corev1.Pod) int {
	n := 0
	for _, p := range pods {
		if p.Status.Phase == corev1.PodRunning && pod.IsReady(p) {
			n++
		}
	}
	return n
}

// requests are what pods request of a resource, in thousandths, by name: a container's where
// one is named, the pod's own where it has some, or else what its main containers and
// sidecars add up to. Each of them must request something.
func requests(pods []*corev1.Pod, container string, name corev1.ResourceName) (map[string]int64, error) {
	out := make(map[string]int64, len(pods))
	for _, p := range pods {
		n, err := request(p, container, name)
		if err != nil {
			return nil, err
		}
		out[p.Name] = n
	}
	return out, nil
}

func request(p *corev1.Pod, container string, name corev1.ResourceName) (int64, error) {
	if container == "" && resource.IsPodLevelRequestsSet(p) {
		q, ok := pod.Requests(p)[name]
		if !ok {
			return 0, fmt.Errorf("missing pod-level request for %s in Pod %s", name, p.Name)
		}
		return q.MilliValue(), nil
	}
	sum, found := int64(0), false
	// The main ones first: it is the first that requests nothing which is told of.
	for _, types := range []pod.ContainerType{pod.MainContainers, pod.InitContainers} {
		for t, c := range pod.Containers(&p.Spec, types) {
			if t == pod.InitContainers && !pod.IsSidecar(c) || container != "" && c.Name != container {
				continue
			}
			q, ok := c.Resources.Requests[name]
			if !ok {
				return 0, fmt.Errorf("missing request for %s in container %s of Pod %s", name, c.Name, p.Name)
			}
			sum, found = sum+q.MilliValue(), true
		}
	}
	if container != "" && !found {
		return 0, fmt.Errorf("container %s not found in Pod %s", container, p.Name)
	}
	return sum, nil
}
