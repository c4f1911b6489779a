package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Decide computes what a pod that is to run needs.
func Decide(v View) Decision {
	p := &planner{View: v}
	switch source := p.restartsAll(); {
	case p.lost():
		p.d.Finished = true
	case source != nil:
		p.restartAll(source)
		return p.d
	default:
		p.initContainers()
	}
	if p.d.Initialized {
		p.mainContainers()
	}
	switch {
	case p.d.Finished:
		p.d.Start = nil
		for _, c := range ToStop(v) {
			p.d.Kill = append(p.d.Kill, Kill{Container: c, Message: "Stopping container " + c.Name})
		}
	case p.d.Initialized:
		p.ephemeralContainers()
	}
	return p.d
}

type planner struct {
	View
	d       Decision
	started bool // a main container was started in this sandbox
}

// lost says whether a pod that is never restarted had a container which failed with an
// earlier sandbox (the server lost power): the pod has failed, and is not begun again.
func (p *planner) lost() bool {
	if p.Pod.Spec.RestartPolicy != corev1.RestartPolicyNever || p.Sandbox == "" {
		return false
	}
	for _, c := range pod.Containers(&p.Pod.Spec, pod.InitContainers|pod.MainContainers) {
		old := p.Containers[c.Name]
		if old != nil && !container.SameSandbox(old.Sandbox, p.Sandbox) && old.Exit != nil && old.Exit.Code != 0 && !Restarts(p.Pod, c, old.Exit) {
			return true
		}
	}
	return false
}

func (p *planner) initContainers() {
	for _, c := range pod.Containers(&p.Pod.Spec, pod.MainContainers) {
		p.started = p.started || p.Current(c.Name) != nil
	}
	// One that failed for good decides, whatever became of the sidecars before it.
	if p.d.Finished = !p.started && p.initFailed(); p.d.Finished {
		return
	}
	for _, c := range pod.Containers(&p.Pod.Spec, pod.InitContainers) {
		cur := p.Current(c.Name)
		if pod.IsSidecar(c) {
			if p.sidecar(c, cur) {
				continue
			}
			return
		}
		switch {
		case p.started:
			// Done before the main containers were started; its record may be gone.
		case cur == nil:
			p.startWhenDue(c)
			return
		case cur.State == container.StateRunning:
			p.resize(c, cur)
			return
		case cur.Exit.Code != 0:
			p.startWhenDue(c)
			return
		}
	}
	p.d.Initialized = true
}

// initFailed says whether an init container has failed and is not run again.
func (p *planner) initFailed() bool {
	for _, c := range pod.Containers(&p.Pod.Spec, pod.InitContainers) {
		cur := p.Current(c.Name)
		if !pod.IsSidecar(c) && cur != nil && cur.Exit != nil && cur.Exit.Code != 0 && !p.Restarts(c, cur) {
			return true
		}
	}
	return false
}

// sidecar keeps a sidecar running, and says whether what follows it may start.
func (p *planner) sidecar(c *corev1.Container, cur *container.Container) bool {
	switch {
	case cur == nil || cur.State == container.StateExited:
		p.startWhenDue(c)
		return p.started
	case p.unhealthy(c, cur):
		return true
	}
	p.resize(c, cur)
	return p.Health[cur.ID].Started || p.started
}

func (p *planner) mainContainers() {
	done := true
	for _, c := range pod.Containers(&p.Pod.Spec, pod.MainContainers) {
		cur := p.Current(c.Name)
		switch {
		case cur == nil:
			// One that ended for good in an earlier sandbox is not run again, but for a
			// restart of all.
			if old := p.Containers[c.Name]; old != nil && old.State == container.StateExited && !container.SameSandbox(old.Sandbox, p.Sandbox) && !p.Restarts(c, old) {
				continue
			}
			done = false
			p.startWhenDue(c)
		case cur.State == container.StateRunning:
			done = false
			switch {
			case p.unhealthy(c, cur):
			case cur.SpecHash != container.SpecHash(c):
				p.d.Kill = append(p.d.Kill, Kill{Container: cur, Message: fmt.Sprintf("Container %s definition changed, will be restarted", c.Name), Restart: true})
			default:
				p.resize(c, cur)
			}
		case p.Restarts(c, cur):
			done = false
			p.startWhenDue(c)
		}
	}
	p.d.Finished = done
}

// ephemeralContainers are run once, beside whatever else runs, and decide nothing.
func (p *planner) ephemeralContainers() {
	for _, c := range pod.Containers(&p.Pod.Spec, pod.EphemeralContainers) {
		if p.Containers[c.Name] == nil {
			p.startWhenDue(c)
		}
	}
}

// unhealthy has a container killed whose probes want that, and says whether they do.
func (p *planner) unhealthy(c *corev1.Container, cur *container.Container) bool {
	probe := p.Health[cur.ID].Unhealthy
	if probe != "" {
		p.d.Kill = append(p.d.Kill, Kill{Container: cur, Message: fmt.Sprintf("Container %s failed %s, will be restarted", c.Name, probe), Restart: restartable(p.Pod, c)})
	}
	return probe != ""
}

// restartable says whether the policies ever start a container anew.
func restartable(p *corev1.Pod, c *corev1.Container) bool {
	if c.RestartPolicy != nil {
		return *c.RestartPolicy != corev1.ContainerRestartPolicyNever
	}
	return p.Spec.RestartPolicy != corev1.RestartPolicyNever
}

// SandboxChanged is what is said of what runs in a sandbox that is not the present one.
const SandboxChanged = "Pod sandbox changed, it will be killed and re-created."

func (p *planner) startWhenDue(c *corev1.Container) {
	prev := p.Containers[c.Name]
	if prev != nil && prev.State == container.StateRunning { // in an earlier sandbox
		p.d.Kill = append(p.d.Kill, Kill{Container: prev, Message: SandboxChanged})
		return
	}
	a := Start{Container: c}
	if prev != nil {
		a.Restarts, a.Backoff = prev.Restarts+1, nextBackoff(prev)
	}
	if due := p.Due(c.Name); due.After(p.Now) {
		if p.d.WakeAt.IsZero() || due.Before(p.d.WakeAt) {
			p.d.WakeAt = due
		}
		if cur := p.Current(c.Name); cur != nil && cur.Exit != nil {
			p.d.BackingOff = append(p.d.BackingOff, cur)
		}
		return
	}
	p.d.Start = append(p.d.Start, a)
}
