package kubelet

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ErrUnavailable is wrapped by errors that only say that the runtime does not
// answer now: it is being restarted, and nothing is wrong with the pod.
var ErrUnavailable = errors.New("the container runtime does not answer")

// ErrInvalidImageName is wrapped by the error about a name that no image can have.
var ErrInvalidImageName = errors.New("no name for an image")

// ContainerRuntime keeps containers. A container that ended stays listed, with
// its exit, until it is removed.
type ContainerRuntime interface {
	// Version says that the runtime answers, and what it is (containerd://2.4.2).
	Version(ctx context.Context) (string, error)
	// List returns the containers of the pod, or of all pods when uid is "".
	List(ctx context.Context, uid string) ([]Container, error)
	// Start creates a container and starts it. On an error nothing is left.
	Start(ctx context.Context, spec ContainerSpec) (Container, error)
	// Signal sends a signal to the container's first process; to one that has
	// ended it does nothing.
	Signal(ctx context.Context, id string, sig syscall.Signal) error
	// Remove kills and deletes a container and its writable layer; one that does
	// not exist is no error.
	Remove(ctx context.Context, id string) error
	// Exec runs a command beside the container's first process.
	Exec(ctx context.Context, id string, cmd []string, s Streams) (exitCode int, err error)
	// Attach joins the streams of the container's first process until ctx is done,
	// the container ends or the client goes.
	Attach(ctx context.Context, id string, s Streams) error
	// Watch calls onExit for each container that ends, after connected is called,
	// and returns when the stream of events breaks.
	Watch(ctx context.Context, connected func(), onExit func(Container)) error
}

// ImageStore keeps images.
type ImageStore interface {
	// Image returns an image by the name a pod uses, and whether it is present.
	Image(ctx context.Context, name string) (Image, bool, error)
	// Pull fetches and unpacks it.
	Pull(ctx context.Context, name string, auth []RegistryAuth) (Image, error)
	Images(ctx context.Context) ([]Image, error)
}

// PodNetwork gives pods their addresses.
type PodNetwork interface {
	// Ready says why pods cannot be attached yet.
	Ready() error
	// Attach connects the network namespace at nsPath; doing it twice is no change.
	Attach(ctx context.Context, uid, nsPath string, ports []HostPort) (netip.Addr, error)
	// Detach undoes it; for a pod that is not attached it does nothing.
	Detach(ctx context.Context, uid string) error
	// Prune detaches every pod whose UID is not among uids.
	Prune(ctx context.Context, uids []string) error
}

// HostPort is a port of the node that leads to a pod.
type HostPort struct {
	Protocol                string // TCP, UDP or SCTP
	HostIP                  string // empty: every address of the node
	HostPort, ContainerPort uint16
}

// PodRef names a pod's incarnation.
type PodRef struct{ Namespace, Name, UID string }

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
	// Sandbox is the incarnation of the pod's namespaces in which it was started:
	// a container of an earlier one is history.
	Sandbox string
	// Restarts counts the incarnations before it.
	Restarts int32
	// Backoff is how long to wait, once it has ended, before the next one starts.
	Backoff time.Duration
	// SpecHash changes with what in the pod's spec makes a container start anew.
	SpecHash  string
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

// ContainerSpec is everything a runtime needs to start a container.
type ContainerSpec struct {
	Container
	// ShimGroup makes the containers of a pod share one shim process.
	ShimGroup string
	// ResolvedImage is the name in the ImageStore.
	ResolvedImage string
	Args          []string // the whole command line; empty: the image's
	Command       []string // replaces the image's entrypoint; Args then follow it
	Env           []string
	WorkingDir    string
	TTY, Stdin    bool
	StdinOnce     bool // standard input ends with the first session that is attached
	Mounts        []Mount
	Namespaces    Namespaces
	Hostname      string
	Sysctls       map[string]string
	Security      Security
	Resources     Resources
	// TerminationMessage is the host's file that the container may write; with
	// MessageFromLog the end of a failed container's log stands in for an empty one.
	TerminationMessage string
	MessageFromLog     bool
}

// Mount is a bind mount of a host path.
type Mount struct {
	HostPath, ContainerPath string
	ReadOnly                bool
	Propagation             corev1.MountPropagationMode
}

// Namespaces are paths of pinned namespaces; "" is a private one, "host" the
// host's. PID may be a path such as /proc/7/ns/pid.
type Namespaces struct{ Net, IPC, UTS, PID string }

// HostNamespace stands for the host's own namespace.
const HostNamespace = "host"

// Security is what a process may do.
type Security struct {
	User, Group       *int64 // nil: the image's
	Groups            []int64
	Privileged        bool
	ReadOnlyRoot      bool
	NoNewPrivileges   bool
	AddCaps, DropCaps []corev1.Capability
	SeccompUnconfined bool
	SeccompProfile    string // path of a profile on the host
	UnmaskedProc      bool
	RequireNonRoot    bool
}

// Resources are the container's cgroup and its values.
type Resources struct {
	CgroupPath  string // relative to the hierarchies' roots
	CPUShares   uint64
	CPUQuota    int64 // microseconds per CPUPeriod; 0: no limit
	CPUPeriod   uint64
	MemoryLimit int64 // bytes; 0: no limit
	OOMScoreAdj int
}

// Image is an image of the store.
type Image struct {
	Name  string // in the store
	ID    string // digest of the config
	Names []string
	Size  int64
	// Numeric user of the image's config, when it names one (nil: a name).
	User       *int64
	StopSignal string
}

// RegistryAuth is a credential for one registry host.
type RegistryAuth struct{ Host, Username, Password, Token string }

// TerminalSize is in characters.
type TerminalSize struct{ Width, Height uint16 }

// Streams are the ends of an interactive session. Nil streams are not wanted.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	TTY      bool
	Resize   <-chan TerminalSize
}
