package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Back-off between incarnations of a container that keeps ending.
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 5 * time.Minute
	// backoffReset is how long a container must have run for its end to be no
	// part of a loop.
	backoffReset = 10 * time.Minute
)

// view is all that decides what a pod needs next, and what its status is.
type view struct {
	pod *corev1.Pod
	// sandbox is the present incarnation of the pod's namespaces; "" before it is made.
	sandbox string
	// containers are the newest incarnations by name; before holds the one before each.
	containers map[string]*Container
	before     map[string]*Container
	// failures are containers that could not be started.
	failures map[string]failure
	// probes are by container ID.
	probes map[string]probeState
	now    time.Time
}

// failure is why a container is not there.
type failure struct {
	reason, message string
	until           time.Time // not tried again before
	delay           time.Duration
	err             error
}

// probeState is what the probes of a running container say.
type probeState struct {
	started, ready bool
	// unhealthy is why the container has to be killed.
	unhealthy string
}

type startAction struct {
	container *corev1.Container
	restarts  int32
	backoff   time.Duration
}

type killAction struct {
	container       *Container
	reason, message string
}

// decision is what to do now.
type decision struct {
	start []startAction
	kill  []killAction
	// backingOff are ended containers whose successors wait because they end again
	// and again.
	backingOff []*Container
	// wakeAt is when to decide again though nothing happened (zero: never).
	wakeAt time.Time
	// finished: every container is done for good.
	finished bool
	// initialized: the init containers are done.
	initialized bool
}

// decide computes what a pod that is to run needs. It is pure: the same view
// gives the same decision.
func decide(v view) decision {
	p := &planner{view: v}
	p.initContainers()
	if p.d.initialized {
		p.mainContainers()
	}
	if p.d.finished {
		p.d.start = nil
		for i := range v.pod.Spec.InitContainers {
			if c := v.current(v.pod.Spec.InitContainers[i].Name); c != nil && c.State == StateRunning {
				p.d.kill = append(p.d.kill, killAction{c, "Killing", "Stopping sidecar " + c.Name})
			}
		}
	}
	return p.d
}

type planner struct {
	view
	d       decision
	started bool // a main container was started in this sandbox
}

// current returns the container if it belongs to the present sandbox.
func (v *view) current(name string) *Container {
	if c := v.containers[name]; c != nil && c.Sandbox == v.sandbox && v.sandbox != "" {
		return c
	}
	return nil
}

func (p *planner) initContainers() {
	for i := range p.pod.Spec.Containers {
		p.started = p.started || p.current(p.pod.Spec.Containers[i].Name) != nil
	}
	for i := range p.pod.Spec.InitContainers {
		c := &p.pod.Spec.InitContainers[i]
		cur := p.current(c.Name)
		if isSidecar(c) {
			switch {
			case cur == nil || cur.State == StateExited:
				p.startWhenDue(c)
				if !p.started {
					return
				}
			case p.probes[cur.ID].unhealthy != "":
				p.killUnhealthy(cur)
			case !p.probes[cur.ID].started && !p.started:
				return
			}
			continue
		}
		switch {
		case p.started:
			// Done before the main containers were started; its record may be gone.
		case cur == nil:
			p.startWhenDue(c)
			return
		case cur.State == StateRunning:
			return
		case cur.Exit.Code == 0:
		case p.pod.Spec.RestartPolicy == corev1.RestartPolicyNever:
			p.d.finished = true
			return
		default:
			p.startWhenDue(c)
			return
		}
	}
	p.d.initialized = true
}

func (p *planner) mainContainers() {
	done := true
	for i := range p.pod.Spec.Containers {
		c := &p.pod.Spec.Containers[i]
		cur := p.current(c.Name)
		switch {
		case cur == nil:
			// One that ended for good in an earlier sandbox is not run again.
			if old := p.containers[c.Name]; old != nil && old.State == StateExited && !p.restarts(old) && old.Exit.Reason != "Unknown" {
				continue
			}
			done = false
			p.startWhenDue(c)
		case cur.State == StateRunning:
			done = false
			switch {
			case p.probes[cur.ID].unhealthy != "":
				p.killUnhealthy(cur)
			case cur.SpecHash != specHash(c):
				p.d.kill = append(p.d.kill, killAction{cur, "Killing", fmt.Sprintf("Container %s definition changed, will be restarted", c.Name)})
			}
		case p.restarts(cur):
			done = false
			p.startWhenDue(c)
		}
	}
	p.d.finished = done
}

func (p *planner) killUnhealthy(c *Container) {
	p.d.kill = append(p.d.kill, killAction{c, "Killing", fmt.Sprintf("Container %s failed %s, will be restarted", c.Name, p.probes[c.ID].unhealthy)})
}

// restarts says whether the restart policy wants an ended container again.
func (v *view) restarts(c *Container) bool {
	switch v.pod.Spec.RestartPolicy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return c.Exit.Code != 0
	}
	return true
}

func (p *planner) startWhenDue(c *corev1.Container) {
	prev := p.containers[c.Name]
	a := startAction{container: c}
	if prev != nil {
		a.restarts, a.backoff = prev.Restarts+1, nextBackoff(prev)
	}
	if due := p.due(c.Name); due.After(p.now) {
		if p.d.wakeAt.IsZero() || due.Before(p.d.wakeAt) {
			p.d.wakeAt = due
		}
		if cur := p.current(c.Name); cur != nil && cur.Exit != nil {
			p.d.backingOff = append(p.d.backingOff, cur)
		}
		return
	}
	p.d.start = append(p.d.start, a)
}

// due is when a container may be started.
func (v *view) due(name string) time.Time {
	due := v.failures[name].until
	if c := v.current(name); c != nil && c.Exit != nil {
		if at := c.Exit.At.Add(restartDelay(c)); at.After(due) {
			due = at
		}
	}
	return due
}

// restartDelay is the pause after an ended container: none after the first one
// or one that ran long.
func restartDelay(c *Container) time.Duration {
	if c.Exit.At.Sub(c.StartedAt) >= backoffReset {
		return 0
	}
	return c.Backoff
}

// nextBackoff is the Backoff of the container that follows prev.
func nextBackoff(prev *Container) time.Duration {
	if prev.Exit == nil || prev.Backoff == 0 || prev.Exit.At.Sub(prev.StartedAt) >= backoffReset {
		return firstBackoff
	}
	return min(2*prev.Backoff, maxBackoff)
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
