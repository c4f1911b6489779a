package gc

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ownerState is what is known of one owner of an object.
type ownerState int

const (
	ownerAbsent  ownerState = iota // certainly does not exist
	ownerLives                     // exists, and is no reason to delete
	ownerWaiting                   // is being deleted in the foreground, and waits for this object
)

// action is what is to be done with an object for its owners' sake.
type action struct {
	delete bool
	policy metav1.DeletionPropagation
	// drop are owners to take out of the references.
	drop []types.UID
}

// decide judges an object by its owners. An object is deleted when it had owners
// and none lives; as long as one does, only references to others are dropped.
func decide(owners map[types.UID]ownerState, finalizers []string, blockedByDependents bool) action {
	var a action
	var lives, waits bool
	for uid, s := range owners {
		switch s {
		case ownerLives:
			lives = true
			continue
		case ownerWaiting:
			waits = true
		}
		a.drop = append(a.drop, uid)
	}
	slices.Sort(a.drop)
	switch {
	case len(owners) == 0 || len(a.drop) == 0:
		return action{}
	case lives:
		return a
	}
	a = action{delete: true, policy: metav1.DeletePropagationBackground}
	switch {
	case waits && blockedByDependents, slices.Contains(finalizers, metav1.FinalizerDeleteDependents):
		a.policy = metav1.DeletePropagationForeground
	case slices.Contains(finalizers, metav1.FinalizerOrphanDependents):
		a.policy = metav1.DeletePropagationOrphan
	}
	return a
}

// inCircle says whether an object that is deleted in the foreground for its owners' sake
// has a dependent that waits in the same way: they may wait for each other.
func inCircle(v View) bool {
	return slices.ContainsFunc(v.Dependents, func(d Object) bool { return d.WaitsForDeps })
}

// unblocked are references that hold no owner's deletion up.
func unblocked(refs []metav1.OwnerReference) []metav1.OwnerReference {
	out := slices.Clone(refs)
	for i := range out {
		if out[i].BlockOwnerDeletion != nil {
			out[i].BlockOwnerDeletion = new(bool)
		}
	}
	return out
}
