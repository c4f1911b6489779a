package core

import (
	"errors"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/component-helpers/storage/ephemeral"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/pod"
)

// nodeVolumeLimits keeps as many volumes of a CSI driver on a node as the driver has said
// that it has room for, and pods from nodes without a driver that asks for that.
type nodeVolumeLimits struct {
	Volumes
	exceeded *framework.Status
}

func newNodeVolumeLimits(v Volumes) *nodeVolumeLimits {
	pl := &nodeVolumeLimits{Volumes: v}
	pl.exceeded = reject(pl.Name(), framework.Unschedulable, "node(s) exceed max volume count")
	return pl
}

func (*nodeVolumeLimits) Name() string { return "NodeVolumeLimits" }

// drivenVolumes are volumes, each with the name of its driver.
type drivenVolumes map[string]string

// Clone implements State.
func (st drivenVolumes) Clone() State { return st }

func (pl *nodeVolumeLimits) PreFilter(_ *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	st := drivenVolumes{}
	// A claim that cannot be used VolumeBinding refuses, with the reason.
	if err := pl.collect(p.Pod, st); err != nil || len(st) == 0 {
		return nil, nil, skip()
	}
	return st, nil, nil
}

// collect adds the volumes of a pod's claims.
func (pl *nodeVolumeLimits) collect(p *corev1.Pod, into drivenVolumes) error {
	var errs []error
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		name, ok := pod.ClaimName(p, v)
		if !ok {
			continue
		}
		c, err := pl.Claims.PersistentVolumeClaims(p.Namespace).Get(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if v.Ephemeral != nil {
			if err := ephemeral.VolumeIsForPod(p, c); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if driver, handle := pl.driverOf(c); driver != "" {
			into[driver+"/"+handle] = driver
		}
	}
	return errors.Join(errs...)
}

// driverOf is the driver of a claim's volume and the volume's name there; of one that is to
// be made, what its class says. It is "" where that is none.
func (pl *nodeVolumeLimits) driverOf(c *corev1.PersistentVolumeClaim) (driver, handle string) {
	if c.Spec.VolumeName != "" {
		if v, err := pl.Volumes.Volumes.Get(c.Spec.VolumeName); err == nil {
			if v.Spec.CSI == nil {
				return "", ""
			}
			return v.Spec.CSI.Driver, v.Spec.CSI.VolumeHandle
		}
	}
	class, err := pl.Classes.Get(volumehelpers.GetPersistentVolumeClaimClass(c))
	if err != nil || class.Provisioner == volumehelpers.NotSupportedProvisioner {
		return "", ""
	}
	return class.Provisioner, "of claim " + c.Namespace + "/" + c.Name // no handle has a space
}

func (pl *nodeVolumeLimits) Filter(state State, _ *PodInfo, n *NodeInfo) *framework.Status {
	st, ok := state.(drivenVolumes)
	if !ok {
		return nil
	}
	has := pl.driversOn(n.name)
	limited := false
	for _, driver := range slices.Sorted(maps.Values(st)) {
		on, there := has[driver]
		if !there && pl.mustBeThere(driver) {
			return reject(pl.Name(), framework.Unschedulable, driver+" CSI driver is not installed on the node")
		}
		limited = limited || there && limitOf(on) >= 0
	}
	if !limited {
		return nil
	}
	there := drivenVolumes{}
	for other := range n.Pods() {
		_ = pl.collect(other.Pod, there) // what is not known any more takes no room
	}
	attachedTo(n.node, there)
	used, more := map[string]int{}, map[string]int{}
	for _, driver := range there {
		used[driver]++
	}
	for volume, driver := range st {
		if _, has := there[volume]; !has {
			more[driver]++
		}
	}
	for driver, count := range more {
		if on, ok := has[driver]; ok && limitOf(on) >= 0 && used[driver]+count > limitOf(on) {
			return pl.exceeded
		}
	}
	return nil
}

// driversOn are those of a node.
func (pl *nodeVolumeLimits) driversOn(node string) map[string]storagev1.CSINodeDriver {
	out := map[string]storagev1.CSINodeDriver{}
	if n, err := pl.Nodes.Get(node); err == nil {
		for _, d := range n.Spec.Drivers {
			out[d.Name] = d
		}
	}
	return out
}

// limitOf is how many volumes a driver has room for; negative: any number.
func limitOf(d storagev1.CSINodeDriver) int {
	if d.Allocatable == nil || d.Allocatable.Count == nil {
		return -1
	}
	return int(*d.Allocatable.Count)
}

func (pl *nodeVolumeLimits) mustBeThere(driver string) bool {
	d, err := pl.Drivers.Get(driver)
	return err == nil && ptr.Deref(d.Spec.PreventPodSchedulingIfMissing, false)
}

// attachedTo adds what a node has of pods that are gone: its status says what is attached to
// it, and what it has not unmounted.
func attachedTo(n *corev1.Node, into drivenVolumes) {
	add := func(name corev1.UniqueVolumeName) {
		rest, ok := strings.CutPrefix(string(name), "kubernetes.io/csi/")
		driver, handle, cut := strings.Cut(rest, "^")
		if ok && cut {
			into[driver+"/"+handle] = driver
		}
	}
	for _, a := range n.Status.VolumesAttached {
		add(a.Name)
	}
	for _, name := range n.Status.VolumesInUse {
		add(name)
	}
}

// SameVolumes says whether a node has and uses the volumes that it had.
func SameVolumes(a, b *corev1.Node) bool {
	return slices.Equal(a.Status.VolumesAttached, b.Status.VolumesAttached) && slices.Equal(a.Status.VolumesInUse, b.Status.VolumesInUse)
}

// Detached says whether a node has fewer volumes than before: pods may wait for that.
func Detached(old, now *corev1.Node) bool {
	before, after := drivenVolumes{}, drivenVolumes{}
	attachedTo(old, before)
	attachedTo(now, after)
	for volume := range before {
		if _, still := after[volume]; !still {
			return true
		}
	}
	return false
}

// EventsToRegister: pods with claims go, volumes are detached, and drivers have more room.
func (*nodeVolumeLimits) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		podEvent(framework.Delete, func(_, old, _ *PodInfo) bool {
			return old != nil && len(pod.ClaimNames(old.Pod)) > 0
		}),
		{Event: framework.ClusterEvent{Resource: framework.PersistentVolumeClaim, ActionType: framework.Add}, Hint: ownClaim},
		{Event: framework.ClusterEvent{Resource: framework.VolumeAttachment, ActionType: framework.Delete}},
		{Event: framework.ClusterEvent{Resource: framework.CSINode, ActionType: framework.Add | framework.Update}, Hint: func(_ *PodInfo, old, now any) bool {
			o, _ := old.(*storagev1.CSINode)
			n, _ := now.(*storagev1.CSINode)
			return o == nil || n == nil || moreRoom(o, n)
		}},
	}
}

// moreRoom says whether a driver has come to a node, or has room for more there than before.
func moreRoom(old, now *storagev1.CSINode) bool {
	before := map[string]int{}
	for _, d := range old.Spec.Drivers {
		before[d.Name] = limitOf(d)
	}
	for _, d := range now.Spec.Drivers {
		was, there := before[d.Name]
		if is := limitOf(d); !there || was >= 0 && (is < 0 || is > was) {
			return true
		}
	}
	return false
}
