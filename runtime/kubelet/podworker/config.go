package podworker

import (
	"context"
	"log/slog"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containerspec"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
)

// Runtime keeps containers. A container that ended stays, with its exit, until it is
// removed.
type Runtime interface {
	// List returns the containers of the pod, or of all pods when uid is "".
	List(ctx context.Context, uid string) ([]container.Container, error)
	// Start creates a container and starts it. On an error nothing is left.
	Start(ctx context.Context, spec container.Spec) (container.Container, error)
	// Signal sends a signal to the container's first process; to one that has
	// ended it does nothing.
	Signal(ctx context.Context, id string, sig syscall.Signal) error
	// Remove kills and deletes a container and its writable layer; one that does
	// not exist is no error.
	Remove(ctx context.Context, id string) error
	// UpdateResources sets the values of a running container's cgroup, and keeps with it
	// what it has.
	UpdateResources(ctx context.Context, id string, r container.Resources, has container.Compute) error
}

// Images makes sure of images.
type Images interface {
	EnsureImage(ctx context.Context, pod *corev1.Pod, c *corev1.Container, pulling func()) (container.Image, error)
	// Use notes the images that the containers of an earlier process use.
	Use(uid string, images ...string)
	// StopSignal is the one that an image names; "" for none.
	StopSignal(ctx context.Context, image string) string
}

// Sandboxes keeps what the containers of a pod share.
type Sandboxes interface {
	// Ensure makes the pod's, unless it is there.
	Ensure(pod *corev1.Pod) (container.Sandbox, error)
	// Healthy reports whether the one with that ID still works.
	Healthy(pod *corev1.Pod, id string) bool
	Remove(uid string) error
	// List returns the UIDs of pods that have one.
	List() ([]string, error)
}

// Handlers finds how the runtime runs the containers of a pod.
type Handlers interface {
	// Handler is that of the pod's RuntimeClass; "" of a pod without one.
	Handler(ctx context.Context, pod *corev1.Pod) (string, error)
}

// Network gives pods their addresses.
type Network interface {
	// Ready says why pods cannot be attached yet.
	Ready() error
	// Attach connects the network namespace at nsPath; doing it twice is no change.
	Attach(ctx context.Context, uid, nsPath string, ports []container.HostPort) (addr.IPs, error)
	// Detach undoes it; for a pod that is not attached it does nothing.
	Detach(ctx context.Context, uid string) error
	// Prune detaches every pod whose UID is not among uids.
	Prune(ctx context.Context, uids []string) error
}

// Volumes keeps the volumes of pods.
type Volumes interface {
	SetUp(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus, changed func()) error
	// Refresh brings content up to date when that is due, and says when it is next
	// (zero: never).
	Refresh(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus, changed func()) (time.Time, error)
	// Outdate makes a refresh due.
	Outdate(uid string)
	// Release stops to tell of changes.
	Release(uid string)
	// TearDown takes a pod's volumes away, and its directory.
	TearDown(uid string) error
}

// ImageVolumes mounts images as volumes of pods.
type ImageVolumes interface {
	ImageMounted(pod *corev1.Pod, volume string) (bool, error)
	MountImage(ctx context.Context, pod *corev1.Pod, volume string, img container.Image) error
}

// Cgroups keeps the cgroups of pods.
type Cgroups interface {
	EnsurePod(pod *corev1.Pod) error
	// WidenPod gives a pod's cgroup the wider value of two versions of it.
	WidenPod(from, to *corev1.Pod) error
	RemovePod(uid string) error
	// MemoryUsage is that of a pod's container, or of the pod with "", in bytes.
	MemoryUsage(pod *corev1.Pod, id string) (int64, error)
	Container(pod *corev1.Pod, c *corev1.Container, id string) container.Resources
}

// Allocations keeps what pods are given of the node.
type Allocations interface {
	// Load returns what was kept of a pod; false: nothing was.
	Load(uid string) (allocation.Resources, bool)
	Save(uid string, r allocation.Resources) error
}

// Devices keeps the devices that pods were given.
type Devices interface {
	// Health is that of a pod's devices, by container.
	Health(uid string) map[string][]corev1.ResourceStatus
	// Release takes back those of a pod.
	Release(uid string)
}

// Claims has what ResourceClaims were allocated prepared, and taken back.
type Claims interface {
	// Prepare is asked before a pod's containers start, Unprepare after they have ended.
	// Either may be asked again.
	Prepare(ctx context.Context, pod *corev1.Pod) error
	Unprepare(ctx context.Context, uid string) error
}

// Specs makes the descriptions of containers.
type Specs interface {
	Generate(ctx context.Context, in containerspec.Incarnation) (container.Spec, error)
	// Release takes away what the spec needed until its container was started; ReleasePod
	// that of all containers of a pod.
	Release(pod *corev1.Pod, container string) error
	ReleasePod(uid string) error
}

// Files writes the files that every container of a pod has.
type Files interface {
	Write(pod *corev1.Pod, ips []string) error
}

// Prober probes running containers.
type Prober interface {
	Add(ctx context.Context, pod *corev1.Pod, spec *corev1.Container, c container.Container, ip string, changed func())
	StopRestarts(id string)
	Remove(id string)
	Health(id string) (container.Health, bool)
}

// Hooks runs the lifecycle hooks of containers.
type Hooks interface {
	Run(ctx context.Context, h *corev1.LifecycleHandler, target probe.Target) error
}

// Status writes the status of pods.
type Status interface {
	Write(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error
	// Delete deletes a pod of which nothing is left.
	Delete(ctx context.Context, pod *corev1.Pod) error
}

// Recorder records events.
type Recorder interface {
	Event(object runtime.Object, eventtype, reason, message string)
}

// Config is what the workers work with.
type Config struct {
	NodeIPs addr.IPs
	Layout  poddir.Layout
	// Allocatable is what the node has for pods, as of now.
	Allocatable func() corev1.ResourceList

	Runtime   Runtime
	Images    Images
	Sandboxes Sandboxes
	Handlers  Handlers
	Network   Network
	Volumes   Volumes
	// ImageVolumes are those volumes that are images.
	ImageVolumes ImageVolumes
	Cgroups      Cgroups
	// Allocations outlive this process.
	Allocations Allocations
	Devices     Devices
	Claims      Claims
	Specs       Specs
	Files       Files
	Prober      Prober
	Hooks       Hooks
	// PodAdmission decides by the pod and the node alone, Admission also by the pods that
	// were admitted before.
	PodAdmission, Admission admit.Handler

	Status Status
	Events Recorder
	Log    *slog.Logger

	// Features are what the runtime's containers can have.
	Features container.Features
	// StartsAtOnce bounds the containers that are being started. Many pods at once: a
	// few starts at a time get each of them there sooner than all together, which share
	// the processors and all end late.
	StartsAtOnce int
	// Forget is told the UID of each pod of which nothing is left.
	Forget func(uid string)
}
