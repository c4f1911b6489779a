package container

import corev1 "k8s.io/api/core/v1"

// Spec is everything a runtime needs to start a container.
type Spec struct {
	Container
	// ShimGroup makes the containers of a pod share one shim process.
	ShimGroup string
	// Handler is that of the pod's RuntimeClass; "" for the default.
	Handler string
	// ResolvedImage is the name in the image store.
	ResolvedImage string
	Args          []string // the whole command line; empty: the image's
	Command       []string // replaces the image's entrypoint; Args then follow it
	Env           []string
	WorkingDir    string
	TTY, Stdin    bool
	StdinOnce     bool // standard input ends with the first session that is attached
	Mounts        []Mount
	Devices       []Device
	CDIDevices    []string          // see Edits
	Annotations   map[string]string // see Edits
	Namespaces    Namespaces
	Users         Users
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
	// RecursiveReadOnly makes what is mounted below read-only too.
	RecursiveReadOnly bool
	Propagation       corev1.MountPropagationMode
}

// Device is a device node of the host that the container may use; Permissions are
// letters of "rwm", as the kernel's device controller has them.
type Device struct{ HostPath, ContainerPath, Permissions string }

// Namespaces are paths of pinned namespaces; "" is a private one, HostNamespace the
// host's. PID may be a path such as /proc/7/ns/pid. User owns all others that are not the
// host's; "" is the host's.
type Namespaces struct {
	Net, IPC, UTS, PID, User string
	// PIDOf, where it is set, is the ID of a container of the pod whose processes are seen
	// in place of PID. It has to run.
	PIDOf string
}

// HostNamespace stands for the host's own namespace.
const HostNamespace = "host"

// Values of Security.AppArmor. A loaded profile's name follows AppArmorLocalhost: it may
// be any, also that of another value.
const (
	AppArmorDefault    = "runtime/default"
	AppArmorUnconfined = "unconfined"
	AppArmorLocalhost  = "localhost/"
)

// Security is what a process may do.
type Security struct {
	User, Group *int64 // nil: the image's
	Groups      []int64
	// ImageGroups adds the groups that the image's /etc/group names for the user.
	ImageGroups       bool
	Privileged        bool
	ReadOnlyRoot      bool
	NoNewPrivileges   bool
	AddCaps, DropCaps []corev1.Capability
	SeccompUnconfined bool
	SeccompProfile    string // path of a profile on the host
	// AppArmor is AppArmorDefault, AppArmorUnconfined, or AppArmorLocalhost and the name
	// of a loaded profile. "" leaves it to the runtime: a privileged container has none.
	AppArmor       string
	UnmaskedProc   bool
	RequireNonRoot bool
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
