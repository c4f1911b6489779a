package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/kube-scheduler/framework"
)

// volumeZone keeps pods in the zones and regions that the labels of their bound volumes
// name. Nodes that tell no zone are not held to it.
type volumeZone struct {
	Volumes
	mismatch *framework.Status
}

func newVolumeZone(v Volumes) *volumeZone {
	pl := &volumeZone{Volumes: v}
	pl.mismatch = reject(pl.Name(), framework.UnschedulableAndUnresolvable, "node(s) had no available volume zone")
	return pl
}

func (*volumeZone) Name() string { return "VolumeZone" }

// zoneLabels are the labels of topology, with the one that took the place of each.
func zoneLabels() [][2]string {
	return [][2]string{
		{corev1.LabelFailureDomainBetaZone, corev1.LabelTopologyZone}, {corev1.LabelFailureDomainBetaRegion, corev1.LabelTopologyRegion},
		{corev1.LabelTopologyZone, corev1.LabelTopologyZone}, {corev1.LabelTopologyRegion, corev1.LabelTopologyRegion},
	}
}

// volumeTopology is a label of a volume: the values of it that will do.
type volumeTopology struct {
	key, newKey string
	values      sets.Set[string]
}

// zonesState is what the pod's volumes say.
type zonesState []volumeTopology

// Clone implements State.
func (st zonesState) Clone() State { return st }

func (st zonesState) equal(other zonesState) bool {
	return slices.EqualFunc(st, other, func(a, b volumeTopology) bool { return a.key == b.key && a.values.Equal(b.values) })
}

func topologiesOf(v *corev1.PersistentVolume) zonesState {
	var out zonesState
	for _, key := range zoneLabels() {
		value, ok := v.Labels[key[0]]
		if !ok {
			continue
		}
		values := sets.New[string]()
		for _, zone := range strings.Split(value, "__") {
			values.Insert(strings.TrimSpace(zone))
		}
		if !values.Has("") { // upstream ignores a label that it cannot parse
			out = append(out, volumeTopology{key[0], key[1], values})
		}
	}
	return out
}

func (pl *volumeZone) PreFilter(_ *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	var st zonesState
	for i := range p.Pod.Spec.Volumes {
		source := p.Pod.Spec.Volumes[i].PersistentVolumeClaim
		if source == nil {
			continue
		}
		v, status := pl.volumeOf(p.Pod.Namespace, source.ClaimName)
		if !status.IsSuccess() {
			return nil, nil, status
		}
		if v != nil {
			st = append(st, topologiesOf(v)...)
		}
	}
	if len(st) == 0 {
		return nil, nil, skip()
	}
	return st, nil, nil
}

// volumeOf is the volume of a claim; nil when the claim waits for its first pod.
func (pl *volumeZone) volumeOf(namespace, name string) (*corev1.PersistentVolume, *framework.Status) {
	unresolvable := func(reason string) *framework.Status {
		return framework.NewStatus(framework.UnschedulableAndUnresolvable, reason)
	}
	failed := func(err error) *framework.Status {
		if apierrors.IsNotFound(err) {
			return unresolvable(err.Error())
		}
		return framework.AsStatus(err)
	}
	if name == "" {
		return nil, unresolvable("PersistentVolumeClaim had no name")
	}
	c, err := pl.Claims.PersistentVolumeClaims(namespace).Get(name)
	if err != nil {
		return nil, failed(err)
	}
	if c.Spec.VolumeName != "" {
		v, err := pl.Volumes.Volumes.Get(c.Spec.VolumeName)
		if err != nil {
			return nil, failed(err)
		}
		return v, nil
	}
	className := volumehelpers.GetPersistentVolumeClaimClass(c)
	if className == "" {
		return nil, unresolvable("PersistentVolumeClaim had no pv name and storageClass name")
	}
	class, err := pl.Classes.Get(className)
	switch {
	case err != nil:
		return nil, failed(err)
	case class.VolumeBindingMode == nil:
		return nil, unresolvable(fmt.Sprintf("VolumeBindingMode not set for StorageClass %q", className))
	case *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer:
		return nil, unresolvable("PersistentVolume had no name")
	}
	return nil, nil
}

func (pl *volumeZone) Filter(state State, _ *PodInfo, n *NodeInfo) *framework.Status {
	st, ok := state.(zonesState)
	if !ok {
		return nil
	}
	tells := false
	for _, key := range zoneLabels() {
		_, has := n.node.Labels[key[0]]
		tells = tells || has
	}
	if !tells {
		return nil
	}
	for _, t := range st {
		value, ok := n.node.Labels[t.key]
		if !ok {
			value, ok = n.node.Labels[t.newKey]
		}
		if !ok || !t.values.Has(value) {
			return pl.mismatch
		}
	}
	return nil
}

func (*volumeZone) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		{Event: framework.ClusterEvent{Resource: framework.StorageClass, ActionType: framework.Add}, Hint: func(_ *PodInfo, _, now any) bool {
			c, ok := now.(*storagev1.StorageClass)
			return ok && c.VolumeBindingMode != nil && *c.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
		}},
		{Event: framework.ClusterEvent{Resource: framework.Node, ActionType: framework.Add | framework.UpdateNodeLabel}},
		{Event: framework.ClusterEvent{Resource: framework.PersistentVolumeClaim, ActionType: framework.Add | framework.Update}, Hint: ownClaim},
		{Event: framework.ClusterEvent{Resource: framework.PersistentVolume, ActionType: framework.Add | framework.Update}, Hint: func(_ *PodInfo, old, now any) bool {
			o, _ := old.(*corev1.PersistentVolume)
			n, _ := now.(*corev1.PersistentVolume)
			return o == nil || n == nil || !topologiesOf(o).equal(topologiesOf(n))
		}},
	}
}
