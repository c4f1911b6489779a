package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kube-scheduler/framework"
)

// volumeRestrictions gives a claim with access mode ReadWriteOncePod to one pod at a time.
// The other restrictions that upstream has are of volumes that no node here has.
type volumeRestrictions struct {
	Volumes
	inUse *framework.Status
}

func newVolumeRestrictions(v Volumes) *volumeRestrictions {
	pl := &volumeRestrictions{Volumes: v}
	pl.inUse = reject(pl.Name(), framework.Unschedulable, "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode")
	return pl
}

func (*volumeRestrictions) Name() string { return "VolumeRestrictions" }

// claimKeys are the claims that a pod names, as namespace/name.
func claimKeys(p *corev1.Pod) []string {
	var out []string
	for i := range p.Spec.Volumes {
		if c := p.Spec.Volumes[i].PersistentVolumeClaim; c != nil {
			out = append(out, p.Namespace+"/"+c.ClaimName)
		}
	}
	return out
}

// restrictedState counts, of the pod's claims that one pod may use, how often others do.
type restrictedState struct {
	alone     []string
	conflicts int
}

// Clone implements State.
func (st *restrictedState) Clone() State { c := *st; return &c }

func (st *restrictedState) count(p *PodInfo, by int) {
	for _, key := range p.claims {
		if slices.Contains(st.alone, key) {
			st.conflicts += by
		}
	}
}

func (pl *volumeRestrictions) PreFilter(s *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	st := &restrictedState{}
	for i := range p.Pod.Spec.Volumes {
		v := p.Pod.Spec.Volumes[i].PersistentVolumeClaim
		if v == nil {
			continue
		}
		c, err := pl.Claims.PersistentVolumeClaims(p.Pod.Namespace).Get(v.ClaimName)
		switch {
		case apierrors.IsNotFound(err):
			return nil, nil, framework.NewStatus(framework.UnschedulableAndUnresolvable, err.Error())
		case err != nil:
			return nil, nil, framework.AsStatus(err)
		}
		if !slices.Contains(c.Spec.AccessModes, corev1.ReadWriteOncePod) {
			continue
		}
		key := p.Pod.Namespace + "/" + v.ClaimName
		st.alone = append(st.alone, key)
		st.conflicts += s.claimUsers[key]
	}
	if st.conflicts == 0 {
		return nil, nil, skip()
	}
	return st, nil, nil
}

func (*volumeRestrictions) AddPod(state State, _, added *PodInfo, _ *NodeInfo) {
	if st, ok := state.(*restrictedState); ok {
		st.count(added, 1)
	}
}

func (*volumeRestrictions) RemovePod(state State, _, removed *PodInfo, _ *NodeInfo) {
	if st, ok := state.(*restrictedState); ok {
		st.count(removed, -1)
	}
}

func (pl *volumeRestrictions) Filter(state State, _ *PodInfo, _ *NodeInfo) *framework.Status {
	if st, ok := state.(*restrictedState); ok && st.conflicts > 0 {
		return pl.inUse
	}
	return nil
}

func (*volumeRestrictions) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		podEvent(framework.Delete, func(p, old, _ *PodInfo) bool {
			return old != nil && slices.ContainsFunc(old.claims, func(key string) bool { return slices.Contains(p.claims, key) })
		}),
		{Event: framework.ClusterEvent{Resource: framework.Node, ActionType: framework.Add}},
		{Event: framework.ClusterEvent{Resource: framework.PersistentVolumeClaim, ActionType: framework.Add}, Hint: ownClaim},
	}
}
