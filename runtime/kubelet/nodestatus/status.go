package nodestatus

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/stats"
)

// maxImages bounds the images that a node's status lists.
const maxImages = 50

// facts are all that a node's status is computed from.
type facts struct {
	now       time.Time
	age       time.Duration // of this process
	addresses addr.IPs
	port      int32 // of the kubelet's server
	version   string
	machine   stats.Machine

	own, devices   resources
	free           stats.Node
	runtimeVersion string // "": not known yet
	runtimeErr     error  // why the runtime counts as away
	networkErr     error  // why pods get no address
	images         []container.Image
	imagesKnown    bool
	features       container.Features
	volumes        []corev1.UniqueVolumeName // in use, in order
}

// compute is the status of a node after prev. It is pure.
func compute(prev corev1.NodeStatus, f facts) corev1.NodeStatus {
	s := *prev.DeepCopy()
	has := f.own.on(prev, f.devices)
	s.Capacity, s.Allocatable = has.capacity, has.allocatable
	s.Addresses = nil
	for _, ip := range f.addresses {
		s.Addresses = append(s.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
	}
	s.Addresses = append(s.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: f.machine.Hostname})
	s.DaemonEndpoints.KubeletEndpoint.Port = f.port
	s.NodeInfo = corev1.NodeSystemInfo{
		MachineID: f.machine.MachineID, SystemUUID: f.machine.SystemUUID, BootID: f.machine.BootID,
		KernelVersion: f.machine.Kernel, OSImage: f.machine.OSImage, OperatingSystem: "linux", Architecture: f.machine.Arch,
		ContainerRuntimeVersion: cmp.Or(f.runtimeVersion, prev.NodeInfo.ContainerRuntimeVersion, "containerd://unknown"),
		KubeletVersion:          f.version,
	}
	s.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: ptr.To(true)}
	s.RuntimeHandlers = runtimeHandlers(f.features)
	s.VolumesInUse = f.volumes
	if f.imagesKnown {
		s.Images = largest(f.images)
	}
	for _, c := range conditions(prev, f) {
		setCondition(&s, c, metav1.NewTime(f.now))
	}
	return s
}

// runtimeHandlers are the handlers that a RuntimeClass may name on this node.
func runtimeHandlers(f container.Features) []corev1.NodeRuntimeHandler {
	var out []corev1.NodeRuntimeHandler
	for _, name := range f.Handlers {
		of := f.Of(name)
		out = append(out, corev1.NodeRuntimeHandler{Name: name, Features: &corev1.NodeRuntimeHandlerFeatures{
			RecursiveReadOnlyMounts: ptr.To(of.RecursiveReadOnly), UserNamespaces: ptr.To(of.UserNamespaces == nil),
		}})
	}
	return out
}

// largest are the images that take the most room, which the scheduler would rather not
// have fetched again.
func largest(images []container.Image) []corev1.ContainerImage {
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b container.Image) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Name, b.Name))
	})
	var out []corev1.ContainerImage
	for _, img := range images[:min(len(images), maxImages)] {
		out = append(out, corev1.ContainerImage{Names: img.Names, SizeBytes: img.Size})
	}
	return out
}

// sameStatus compares without the heartbeat times.
func sameStatus(a, b corev1.NodeStatus) bool {
	a, b = *a.DeepCopy(), *b.DeepCopy()
	for _, s := range []*corev1.NodeStatus{&a, &b} {
		for i := range s.Conditions {
			s.Conditions[i].LastHeartbeatTime = metav1.Time{}
		}
	}
	return equality.Semantic.DeepEqual(a, b)
}
