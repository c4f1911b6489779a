package core

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/component-helpers/storage/ephemeral"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/pod"
)

// volumeBinding places pods where their volumes are, or can be: bound ones by their node
// affinity; where the class says WaitForFirstConsumer, free ones that are found there, or
// ones that a provisioner makes there and that its capacities have room for. What was
// decided is assumed until it is written: two pods get no volume together.
type volumeBinding struct {
	Volumes
	assumed assumedVolumes
}

func newVolumeBinding(v Volumes) *volumeBinding { return &volumeBinding{Volumes: v} }

func (*volumeBinding) Name() string { return "VolumeBinding" }

// volumeState is a pod's claims, by what is to become of them.
type volumeState struct {
	snapshot *Snapshot
	bound    []*corev1.PersistentVolumeClaim
	delayed  []*corev1.PersistentVolumeClaim
	// free are the volumes that the delayed ones could have, by class.
	free map[string][]*corev1.PersistentVolume
	// chosen is what Reserve decided for the pod's node.
	chosen *placement
}

// Clone implements State: nothing in it depends on what pods are where.
func (st *volumeState) Clone() State { return st }

// PreFilter rejects a pod that would wait for somebody else wherever it is.
func (pl *volumeBinding) PreFilter(s *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	st := &volumeState{snapshot: s, free: map[string][]*corev1.PersistentVolume{}}
	immediate, some := false, false
	for i := range p.Pod.Spec.Volumes {
		v := &p.Pod.Spec.Volumes[i]
		name, ok := pod.ClaimName(p.Pod, v)
		if !ok {
			continue
		}
		some = true
		c, err := pl.claim(p.Pod, v, name)
		if err != nil {
			return nil, nil, framework.NewStatus(framework.UnschedulableAndUnresolvable, err.Error())
		}
		if bound(c) {
			st.bound = append(st.bound, c)
			continue
		}
		delayed, err := volumehelpers.IsDelayBindingMode(c, pl.Classes)
		if err != nil {
			return nil, nil, framework.AsStatus(err)
		}
		if !delayed || c.Spec.VolumeName != "" {
			immediate = true
			continue
		}
		st.delayed = append(st.delayed, pl.assumed.overlay(c))
		class := volumehelpers.GetPersistentVolumeClaimClass(c)
		if st.free[class] == nil {
			if st.free[class], err = pl.ofClass(class); err != nil {
				return nil, nil, framework.AsStatus(err)
			}
		}
	}
	switch {
	case !some:
		return nil, nil, skip()
	case immediate:
		return nil, nil, framework.NewStatus(framework.UnschedulableAndUnresolvable, "pod has unbound immediate PersistentVolumeClaims")
	}
	return st, nil, nil
}

// claim is the claim of a volume, or why the pod cannot have it.
func (pl *volumeBinding) claim(p *corev1.Pod, v *corev1.Volume, name string) (*corev1.PersistentVolumeClaim, error) {
	c, err := pl.Claims.PersistentVolumeClaims(p.Namespace).Get(name)
	switch {
	case apierrors.IsNotFound(err) && v.Ephemeral != nil: // as normal right after the pod was made
		return nil, fmt.Errorf("waiting for ephemeral volume controller to create the persistentvolumeclaim %q", name)
	case err != nil:
		return nil, err
	case c.Status.Phase == corev1.ClaimLost:
		return nil, fmt.Errorf("persistentvolumeclaim %q bound to non-existent persistentvolume %q", c.Name, c.Spec.VolumeName)
	case c.DeletionTimestamp != nil:
		return nil, fmt.Errorf("persistentvolumeclaim %q is being deleted", c.Name)
	case v.Ephemeral != nil:
		return c, ephemeral.VolumeIsForPod(p, c)
	}
	return c, nil
}

// bound says whether claim and volume name each other, and all of that is written.
func bound(c *corev1.PersistentVolumeClaim) bool {
	return c.Spec.VolumeName != "" && metav1.HasAnnotation(c.ObjectMeta, volumehelpers.AnnBindCompleted)
}

func (pl *volumeBinding) Filter(state State, _ *PodInfo, n *NodeInfo) *framework.Status {
	st, ok := state.(*volumeState)
	if !ok {
		return nil
	}
	_, reasons, err := pl.find(st, n.node)
	switch {
	case err != nil:
		return framework.AsStatus(err)
	case len(reasons) > 0:
		return reject(pl.Name(), framework.UnschedulableAndUnresolvable, reasons...)
	}
	return nil
}

// Reserve assumes what Filter found for the node: the snapshot still stands.
func (pl *volumeBinding) Reserve(_ context.Context, state State, p *PodInfo, nodeName string) *framework.Status {
	st, ok := state.(*volumeState)
	if !ok || len(st.delayed) == 0 {
		return nil
	}
	n := st.snapshot.Node(nodeName)
	if n == nil {
		return framework.AsStatus(fmt.Errorf("node %q is gone", nodeName))
	}
	found, reasons, err := pl.find(st, n.node)
	switch {
	case err != nil:
		return framework.AsStatus(err)
	case len(reasons) > 0:
		return reject(pl.Name(), framework.UnschedulableAndUnresolvable, reasons...)
	}
	if st.chosen, err = found.write(nodeName); err != nil {
		return framework.AsStatus(err)
	}
	st.chosen.node = n.node
	pl.assumed.add(p.Pod.UID, st.chosen)
	return nil
}

// Unreserve gives what was assumed to others.
func (pl *volumeBinding) Unreserve(_ context.Context, _ State, p *PodInfo, _ string) {
	pl.assumed.remove(p.Pod.UID)
}

// Waits says whether PreBind waits for others.
func (*volumeBinding) Waits(state State) bool {
	st, ok := state.(*volumeState)
	return ok && st.chosen != nil
}

// PreBind writes what was assumed, and waits until it has come true.
func (pl *volumeBinding) PreBind(ctx context.Context, state State, p *PodInfo, _ string) *framework.Status {
	st, ok := state.(*volumeState)
	if !ok || st.chosen == nil {
		return nil
	}
	c := st.chosen
	if err := pl.Binder.Bind(ctx, p.Pod, c.node, c.volumes, c.provisions); err != nil {
		return framework.AsStatus(err)
	}
	pl.assumed.remove(p.Pod.UID) // the caches have it by now
	return nil
}
