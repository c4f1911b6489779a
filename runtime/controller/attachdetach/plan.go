package attachdetach

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// unmountPatience is for how long a node that does not live may say that it uses a volume
// which no pod of it wants.
const unmountPatience = 6 * time.Minute

// nameOf is the name of a volume by which nodes know it.
func nameOf(v *corev1.PersistentVolume) string {
	return "kubernetes.io/csi/" + v.Spec.CSI.Driver + "^" + v.Spec.CSI.VolumeHandle
}

// attachmentName is that of the VolumeAttachment of a volume to a node: whoever looks for it
// knows its name.
func attachmentName(v *corev1.PersistentVolume, node string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(v.Spec.CSI.VolumeHandle+v.Spec.CSI.Driver+node)))
}

func sourceOf(a *storagev1.VolumeAttachment) string {
	if a.Spec.Source.PersistentVolumeName == nil {
		return ""
	}
	return *a.Spec.Source.PersistentVolumeName
}

// needsAttach says whether volumes of a driver are attached; of one that nobody told of they are.
func needsAttach(d *storagev1.CSIDriver) bool {
	return d == nil || d.Spec.AttachRequired == nil || *d.Spec.AttachRequired
}

// shared says whether a volume may be attached to several nodes at once.
func shared(v *corev1.PersistentVolume) bool {
	modes := v.Spec.AccessModes
	return len(modes) == 0 || slices.Contains(modes, corev1.ReadWriteMany) || slices.Contains(modes, corev1.ReadOnlyMany)
}

// wants says whether a pod's volumes are to be attached to its node.
func wants(p *corev1.Pod) bool {
	if p.Spec.NodeName == "" || pod.IsTerminal(p) {
		return false
	}
	return p.DeletionTimestamp == nil || running(p.Status.InitContainerStatuses) || running(p.Status.ContainerStatuses) || running(p.Status.EphemeralContainerStatuses)
}

func running(of []corev1.ContainerStatus) bool {
	return slices.ContainsFunc(of, func(s corev1.ContainerStatus) bool { return s.State.Running != nil })
}

// node is what detaching goes by.
type node struct {
	inUse, ready, outOfService bool
}

// look is what a node's object says of a volume. One that is not there is not known to have
// unmounted anything.
func look(n *corev1.Node, volume string) node {
	if n == nil {
		return node{inUse: true}
	}
	return node{
		inUse: slices.Contains(n.Status.VolumesInUse, corev1.UniqueVolumeName(volume)),
		ready: slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}),
		outOfService: slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService }),
	}
}

// mayDetach says whether a volume that no pod wants for some time may be taken from a node;
// where that is not known yet, after which time to look again. forced: whatever the node says.
func (n node) mayDetach(unwanted time.Duration) (may, forced bool, again time.Duration) {
	switch {
	case n.outOfService:
		return true, true, 0
	case !n.inUse:
		return true, false, 0
	case n.ready: // it will say when it has unmounted it
		return false, false, 0
	case unwanted > unmountPatience:
		return true, true, 0
	}
	return false, false, unmountPatience - unwanted + time.Second
}

// waiting is what pods are told whose volume is attached to another node, where users use it.
func waiting(v *corev1.PersistentVolume, p *corev1.Pod, users []*corev1.Pod) string {
	var local []string
	others := 0
	for _, u := range users {
		if u.Namespace == p.Namespace {
			local = append(local, u.Name)
		} else {
			others++
		}
	}
	slices.Sort(local)
	why := "Volume is already exclusively attached to one node, waiting on detach before it can be attached to another node"
	switch {
	case len(local) > 0 && others > 0:
		why = fmt.Sprintf("Volume is already used by pod(s) %s and %d pod(s) in different namespaces", strings.Join(local, ", "), others)
	case len(local) > 0:
		why = "Volume is already used by pod(s) " + strings.Join(local, ", ")
	case others > 0:
		why = fmt.Sprintf("Volume is already used by %d pod(s) in different namespaces", others)
	}
	return fmt.Sprintf("Waiting for detach for volume %q %s", v.Name, why)
}
