package podworker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containertest"
	"github.com/gantry-run/gantry/runtime/pod"
)

// histories is how many random lives of pods are looked at.
const histories = 250

// TestRandomHistories: whatever happens to a pod, its kubelet, the runtime and the API,
// in any order, the pod ends as the documentation of Kubernetes says: restart policies,
// the order of init containers and sidecars, the grace period, terminal phases, one
// incarnation at a time, nothing left after a deletion.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(histories) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			scenario(t, func(t *testing.T, n *node) {
				h := &life{node: n, rand: rand.New(rand.NewPCG(seed, 1))}
				h.live()
				h.judge()
				if t.Failed() || len(n.rt.Violations()) > 0 {
					t.Logf("policy %s, deleted %v, programs %v\n%s\n%s", h.pod.Spec.RestartPolicy, h.deleted, h.programs, strings.Join(h.log, "\n"), n.happened(h.began))
				}
			})
		})
	}
}

// life is one random history.
type life struct {
	*node
	rand     *rand.Rand
	pod      *corev1.Pod // as it was created
	programs map[string]containertest.Program
	began    time.Time
	deleted  bool
	slow     time.Duration // that calls of the runtime took, at the most: part of a grace
	changed  bool          // the spec, or an end that nothing in the spec tells
	log      []string
}

func (h *life) chance(percent int) bool { return h.rand.IntN(100) < percent }

func (h *life) seconds(most int) time.Duration {
	return time.Duration(h.rand.IntN(most*10)) * 100 * time.Millisecond
}

// live makes a pod, has things happen to it, and then lets everything settle.
func (h *life) live() {
	h.began = time.Now()
	var names []string
	for i := range h.rand.IntN(4) {
		names = append(names, fmt.Sprint([]string{"i", "s"}[h.rand.IntN(2)], i))
	}
	for i := range 1 + h.rand.IntN(2) {
		names = append(names, fmt.Sprint("m", i))
	}
	policies := []corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}
	h.pod = testPod(policies[h.rand.IntN(3)], names...)
	h.pod.Spec.TerminationGracePeriodSeconds = ptr.To(int64(5 + h.rand.IntN(10)))
	h.programs = map[string]containertest.Program{}
	for _, name := range names {
		p := containertest.Program{Stops: []time.Duration{0, time.Second, -1}[h.rand.IntN(3)]}
		if name[0] == 'i' || name[0] == 'm' && h.chance(50) {
			p.Lasts = time.Second + h.seconds(10)
			if h.chance(25) {
				p.Code = 1
			}
		}
		h.programs[name] = p
		h.rt.Program(name, p)
	}
	h.api.create(h.pod.DeepCopy())
	for range h.rand.IntN(12) {
		pass(h.seconds(15))
		h.disturb()
	}
	h.rt.Heal()
	h.api.setAway(false)
	for _, kind := range []string{"network", "sandbox", "volumes", "cgroup"} {
		h.held.set(kind, &h.held.fails, nil)
		h.held.set(kind, &h.held.busy, nil)
	}
	pass(20 * time.Minute) // longer than any back-off
}

// disturb has one thing happen.
func (h *life) disturb() {
	note := func(format string, args ...any) {
		h.log = append(h.log, fmt.Sprintf("%3d s: ", int(time.Since(h.began).Seconds()))+fmt.Sprintf(format, args...))
	}
	kinds := []string{"network", "sandbox", "volumes", "cgroup"}
	kind := kinds[h.rand.IntN(4)]
	switch h.rand.IntN(12) {
	case 0:
		note("the kubelet restarts")
		h.restart()
	case 1:
		d := h.seconds(20)
		note("the kubelet is away for %s", d)
		h.stop()
		pass(d)
		h.start()
	case 2:
		note("the runtime goes away")
		h.rt.SetAway(true)
	case 3:
		note("the runtime comes back")
		h.rt.SetAway(false)
	case 4:
		op := []string{"Start", "Signal", "Remove", "Image", "List"}[h.rand.IntN(5)]
		f := containertest.Fault{Op: op, Delay: h.seconds(3), Done: h.chance(30)}
		if h.chance(60) {
			f.Err = []error{errors.New("broken"), container.ErrUnavailable}[h.rand.IntN(2)]
		}
		note("a fault is to come: %+v", f)
		h.slow += f.Delay
		h.rt.Fail(f)
	case 5:
		away := h.chance(50)
		note("the API is away: %v", away)
		h.api.setAway(away)
	case 6:
		note("%s cannot be made", kind)
		h.held.set(kind, &h.held.fails, errors.New("full"))
	case 7:
		note("%s cannot be given back", kind)
		h.held.set(kind, &h.held.busy, errors.New("busy"))
	case 8:
		name := h.someContainer()
		note("%s ends with 2", name.Name)
		h.changed = true
		h.rt.Exit(name.ID, 2)
	case 9:
		note("another image, and other resources")
		h.changed = true
		h.api.edit(func(p *corev1.Pod) *corev1.Pod {
			c := &p.Spec.Containers[h.rand.IntN(len(p.Spec.Containers))]
			c.Image += "i"
			c.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(int64(100+h.rand.IntN(900)), resource.DecimalSI)}
			return p
		})
	case 10:
		if h.chance(40) {
			grace := time.Duration(h.rand.IntN(8)) * time.Second
			note("deleted with %s", grace)
			h.deleted = true
			h.api.remove(grace)
		}
	case 11:
		note("everything works again")
		h.rt.Heal()
	}
}

// someContainer is one that the runtime has, or none.
func (h *life) someContainer() container.Container {
	events := h.rt.Events()
	if len(events) == 0 {
		return container.Container{Name: "nobody"}
	}
	return events[h.rand.IntN(len(events))].Container
}

// judge compares the end with what the documentation says.
func (h *life) judge() {
	h.judgeOrder()
	h.judgeGrace()
	if h.deleted {
		h.want("phase", string(h.phase()), "gone")
		h.nothingLeft()
		return
	}
	phase, left := h.phase(), h.held.left()
	finished := phase == corev1.PodSucceeded || phase == corev1.PodFailed
	if finished != (len(left) == 0) {
		h.t.Errorf("phase %s, and held are %v", phase, left)
	}
	if !h.changed {
		h.want("phase", string(phase), string(h.expected()))
	}
	policy := h.pod.Spec.RestartPolicy
	if finished && policy == corev1.RestartPolicyAlways {
		h.t.Errorf("a pod that restarts always is %s", phase)
	}
	for name, p := range h.programs {
		c := h.newest(name)
		running := c.Restarts >= 0 && c.State == container.StateRunning
		switch {
		case finished && running:
			h.t.Errorf("%s runs in a pod that is %s", name, phase)
		case name[0] == 's' && phase == corev1.PodRunning && !running:
			h.t.Errorf("sidecar %s does not run", name)
		case name[0] == 'm' && phase == corev1.PodRunning && policy == corev1.RestartPolicyAlways && p.Lasts == 0 && !running:
			h.t.Errorf("%s does not run", name)
		}
	}
}

// expected is the phase of a pod whose containers did nothing but their programs. What
// was killed because its kubelet could not start the rest of it counts as such.
func (h *life) expected() corev1.PodPhase {
	policy := h.pod.Spec.RestartPolicy
	fails := func(p containertest.Program) bool { return p.Lasts > 0 && p.Code != 0 }
	for _, c := range pod.Containers(&h.pod.Spec, pod.InitContainers) {
		if fails(h.programs[c.Name]) {
			if policy == corev1.RestartPolicyNever {
				return corev1.PodFailed
			}
			return corev1.PodPending // for ever
		}
	}
	failed, again := false, policy == corev1.RestartPolicyAlways
	for _, c := range pod.Containers(&h.pod.Spec, pod.MainContainers) {
		p := h.programs[c.Name]
		failed = failed || fails(p)
		again = again || p.Lasts == 0 || fails(p) && policy == corev1.RestartPolicyOnFailure
	}
	switch {
	case again:
		return corev1.PodRunning
	case failed:
		return corev1.PodFailed
	}
	return corev1.PodSucceeded
}

// judgeOrder looks at what was started: nothing before what it has to wait for, and
// nothing again that the policy does not want again.
func (h *life) judgeOrder() {
	started, done, ended := map[string]bool{}, map[string]bool{}, map[string]*container.Exit{}
	images := map[string]string{} // of what was started last
	for _, e := range h.rt.Events() {
		name := e.Container.Name
		switch e.Kind {
		case containertest.Exited:
			ended[name] = e.Container.Exit
			done[name] = done[name] || e.Container.Exit.Code == 0
		case containertest.Started:
			for _, before := range pod.Containers(&h.pod.Spec, pod.InitContainers) {
				if before.Name == name {
					break
				}
				if pod.IsSidecar(before) && !started[before.Name] || !pod.IsSidecar(before) && !done[before.Name] {
					h.t.Errorf("%s is started before %s", name, before.Name)
				}
			}
			if last := ended[name]; last != nil && name[0] == 'm' && e.Container.Restarts > 0 {
				policy := h.pod.Spec.RestartPolicy
				// One whose image changed was ended to be started anew, whatever the policy is.
				changed := images[name] != e.Container.Image
				if !changed && (policy == corev1.RestartPolicyNever || policy == corev1.RestartPolicyOnFailure && last.Code == 0) {
					h.t.Errorf("%s is run again after exit %d with policy %s", name, last.Code, policy)
				}
			}
			if name[0] == 'i' && done[name] {
				h.t.Errorf("init container %s is run again after it was done", name)
			}
			started[name], images[name] = true, e.Container.Image
		}
	}
}

// judgeGrace: SIGKILL comes no sooner than the grace after the stop signal, unless the
// pod was deleted, which may shorten it, and no container is left to run on for ever.
func (h *life) judgeGrace() {
	grace := time.Duration(*h.pod.Spec.TerminationGracePeriodSeconds) * time.Second
	told := map[string]time.Time{}
	for _, e := range h.rt.Events() {
		if e.Kind != containertest.Signaled {
			continue
		}
		at, ok := told[e.Container.ID]
		switch {
		case e.Signal != syscall.SIGKILL && !ok:
			told[e.Container.ID] = e.At
		case e.Signal == syscall.SIGKILL && !h.deleted && ok && e.At.Sub(at) < grace-h.slow:
			h.t.Errorf("%s is killed %s after it was told to end, with a grace of %s", e.Container.Name, e.At.Sub(at), grace)
		}
	}
}
