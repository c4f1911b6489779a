package container

import "time"

// PodRef names a pod's incarnation.
type PodRef struct{ Namespace, Name, UID string }

// String is namespace/name, as logs have it.
func (r PodRef) String() string { return r.Namespace + "/" + r.Name }

// State of a container.
type State int

// A container is running, or it has ended.
const (
	StateRunning State = iota
	StateExited
)

// Container is one incarnation of a pod's container. All of it survives a
// restart of this process: it is kept with the container.
type Container struct {
	ID   string
	Pod  PodRef
	Name string
	// Sandbox is the Incarnation of what it was started in: a container of an earlier one
	// is history.
	Sandbox string
	// Restarts counts the incarnations before it.
	Restarts int32
	// Backoff is how long to wait, once it has ended, before the next one starts.
	Backoff time.Duration
	// SpecHash changes with what in the pod's spec makes a container start anew.
	SpecHash string
	// Actuated are the requests and limits that its cgroup has.
	Actuated  Compute
	Image     string // as the pod names it
	ImageID   string
	LogPath   string
	StartedAt time.Time
	State     State
	Exit      *Exit // set once it has ended
}

// Exit is how a container ended.
type Exit struct {
	Code      int32     `json:"code"`
	Signal    int32     `json:"signal,omitempty"`
	At        time.Time `json:"at"`
	OOMKilled bool      `json:"oomKilled,omitempty"`
	// Reason overrides the one that the code implies.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// ReasonUnknown is the Exit.Reason of a container of which nobody saw the end: the
// server lost power, or its shim was killed.
const ReasonUnknown = "Unknown"
