package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// View is all that decides what a pod needs next, and what its status is.
type View struct {
	Pod *corev1.Pod
	// Sandbox is the present incarnation of what the containers share; "" before it is
	// made.
	Sandbox string
	// Containers are the newest incarnations by name; Previous holds the one before each.
	Containers, Previous map[string]*container.Container
	// Failures are containers that could not be started, by name.
	Failures map[string]Failure
	// Restarting are the containers that were ended in order to be started anew, by ID.
	Restarting map[string]bool
	// Health of running containers, by ID.
	Health map[string]container.Health
	Now    time.Time
	// Deadline is when the grace of a pod that was deleted is over, by this server's
	// clock; zero: it was not.
	Deadline time.Time
}

// Failure is why a container is not there.
type Failure struct {
	Reason, Message string
	Until           time.Time     // not tried again before
	Delay           time.Duration // that led to Until
}

// Current returns the newest incarnation of a container if it belongs to the present
// sandbox.
func (v *View) Current(name string) *container.Container {
	if c := v.Containers[name]; c != nil && c.Sandbox == v.Sandbox && v.Sandbox != "" {
		return c
	}
	return nil
}

// Running says whether the newest incarnation of a container runs in the present sandbox.
func (v *View) Running(name string) bool {
	c := v.Current(name)
	return c != nil && c.State == container.StateRunning
}

// Decision is what to do now.
type Decision struct {
	Start  []Start
	Kill   []Kill
	Resize []Resize
	// BackingOff are ended containers whose successors wait because they end again
	// and again.
	BackingOff []*container.Container
	// WakeAt is when to decide again though nothing happened (zero: never).
	WakeAt time.Time
	// RestartingAll: the end of one container has all of them ended, and then begun anew in
	// the same namespaces; when nothing is left of them that runs, Reset says to do so.
	RestartingAll, Reset bool
	// Finished: every container is done for good.
	Finished bool
	// Initialized: the init containers are done.
	Initialized bool
}

// Start is a container that is to be started.
type Start struct {
	Container *corev1.Container
	Restarts  int32
	Backoff   time.Duration
}

// Kill is a running container that is to be ended.
type Kill struct {
	Container *container.Container
	Message   string
	// Restart: it is started anew, whatever the policies say of its end.
	Restart bool
	// AtOnce: without a grace, but for the least that every container has.
	AtOnce bool
}

// Resize is a running container whose cgroup is to get other values.
type Resize struct {
	Container *container.Container
	Spec      *corev1.Container
}
