package gc

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func object(uid string, owners ...string) Object {
	o := Object{Identity: Identity{UID: types.UID(uid), Name: uid, Namespace: "ns", Kind: "K", APIVersion: "v1"}}
	for _, owner := range owners {
		yes := true
		o.Owners = append(o.Owners, metav1.OwnerReference{UID: types.UID(owner), Name: owner, Kind: "K", APIVersion: "v1", BlockOwnerDeletion: &yes})
	}
	return o
}

func expectLook(t *testing.T, what string, got []types.UID, want ...types.UID) {
	t.Helper()
	slices.Sort(got)
	if !slices.Equal(slices.Compact(got), want) {
		t.Errorf("%s: looks at %v, want %v", what, got, want)
	}
}

func TestGraphFollowsAnOwnersEnd(t *testing.T) {
	g := NewGraph()
	expectLook(t, "owner appears", g.Upsert(object("rs")))
	expectLook(t, "first dependent", g.Upsert(object("p1", "rs")), "p1")
	expectLook(t, "second dependent", g.Upsert(object("p2", "rs")), "p2")
	expectLook(t, "nothing changed", g.Upsert(object("p2", "rs")))
	expectLook(t, "owner is deleted", g.Remove("rs"), "p1", "p2")
	v, ok := g.View("p1")
	if !ok || len(v.KnownOwners) != 0 {
		t.Errorf("p1 still knows its owner: %+v", v)
	}
}

func TestGraphDependentBeforeOwner(t *testing.T) {
	g := NewGraph()
	expectLook(t, "dependent of an owner not seen", g.Upsert(object("p", "rs")), "p")
	if v, ok := g.View("rs"); !ok || !v.Virtual || len(v.Dependents) != 1 {
		t.Fatalf("the owner is not in the graph as virtual: %+v", v)
	}
	g.Upsert(object("rs"))
	if v, _ := g.View("rs"); v.Virtual || len(v.Dependents) != 1 {
		t.Errorf("the owner that appeared lost its dependent: %+v", v)
	}
	g = NewGraph()
	g.Upsert(object("p", "rs"))
	g.Remove("p")
	if _, ok := g.View("rs"); ok {
		t.Error("a virtual owner is left behind its last dependent")
	}
}

func TestGraphForegroundWaitsForBlockers(t *testing.T) {
	g := NewGraph()
	g.Upsert(object("d"))
	g.Upsert(object("rs", "d"))
	free := object("loose", "d")
	free.Owners[0].BlockOwnerDeletion = nil
	g.Upsert(free)
	deleting := object("d")
	deleting.Deleting, deleting.WaitsForDeps = true, true
	expectLook(t, "deletion in the foreground", g.Upsert(deleting), "d", "rs")
	if v, _ := g.View("d"); len(v.Blockers) != 1 || v.Blockers[0].UID != "rs" || len(v.Dependents) != 2 {
		t.Errorf("blockers %v, dependents %v", v.Blockers, v.Dependents)
	}
	expectLook(t, "the blocker is gone", g.Remove("rs"), "d")
	if v, _ := g.View("d"); len(v.Blockers) != 0 {
		t.Errorf("blockers %v are left", v.Blockers)
	}
}

func TestGraphOwnerGivenUp(t *testing.T) {
	g := NewGraph()
	g.Upsert(object("rs"))
	g.Upsert(object("p", "rs"))
	expectLook(t, "the reference is dropped", g.Upsert(object("p")), "p")
	expectLook(t, "the former owner goes", g.Remove("rs"))
}

func TestDecide(t *testing.T) {
	const a, b = types.UID("a"), types.UID("b")
	for _, tc := range []struct {
		name       string
		owners     map[types.UID]ownerState
		finalizers []string
		dependents bool
		want       action
	}{
		{"no owners", nil, nil, false, action{}},
		{"owner lives", map[types.UID]ownerState{a: ownerLives}, nil, false, action{}},
		{"owner gone", map[types.UID]ownerState{a: ownerAbsent}, nil, false, action{delete: true, policy: metav1.DeletePropagationBackground}},
		{"one of two lives", map[types.UID]ownerState{a: ownerAbsent, b: ownerLives}, nil, false, action{drop: []types.UID{a}}},
		{"one waits, one lives", map[types.UID]ownerState{a: ownerWaiting, b: ownerLives}, nil, false, action{drop: []types.UID{a}}},
		{"owner waits", map[types.UID]ownerState{a: ownerWaiting}, nil, false, action{delete: true, policy: metav1.DeletePropagationBackground}},
		{"owner waits, has dependents", map[types.UID]ownerState{a: ownerWaiting}, nil, true, action{delete: true, policy: metav1.DeletePropagationForeground}},
		{"keeps its own dependents", map[types.UID]ownerState{a: ownerAbsent}, []string{metav1.FinalizerOrphanDependents}, true, action{delete: true, policy: metav1.DeletePropagationOrphan}},
	} {
		got := decide(tc.owners, tc.finalizers, tc.dependents)
		if got.delete != tc.want.delete || got.policy != tc.want.policy || !slices.Equal(got.drop, tc.want.drop) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// TestACircleIsOpened: a, b and c own each other, and a is deleted in the foreground. Each
// step is what the controller does then.
func TestACircleIsOpened(t *testing.T) {
	g := NewGraph()
	waiting := func(o Object) Object {
		o.Deleting, o.WaitsForDeps = true, true
		return o
	}
	a, b, c := object("a", "c"), object("b", "a"), object("c", "b")
	for _, o := range []Object{a, b, c} {
		g.Upsert(o)
	}
	g.Upsert(waiting(a))
	if v, _ := g.View("b"); inCircle(v) {
		t.Error("b's dependent does not wait yet")
	}
	g.Upsert(waiting(b))
	v, _ := g.View("c")
	if !inCircle(v) {
		t.Fatal("c's dependent waits, and c's owner for c")
	}
	c.Owners = unblocked(c.Owners)
	if *object("c", "b").Owners[0].BlockOwnerDeletion == false || *c.Owners[0].BlockOwnerDeletion {
		t.Errorf("%+v", c.Owners)
	}
	expectLook(t, "c holds b no more", g.Upsert(c), "b", "c")
	if v, _ := g.View("b"); len(v.Blockers) != 0 {
		t.Errorf("b waits for %+v", v.Blockers)
	}
	g.Upsert(waiting(c))
	expectLook(t, "b is gone", g.Remove("b"), "a", "c")
	if v, _ := g.View("a"); len(v.Blockers) != 0 {
		t.Errorf("a waits for %+v", v.Blockers)
	}
	expectLook(t, "a is gone", g.Remove("a"), "c")
	if v, _ := g.View("c"); len(v.Blockers) != 0 {
		t.Errorf("c waits for %+v", v.Blockers)
	}
}

func TestUnblockedLeavesWhatDoesNotBlock(t *testing.T) {
	yes := true
	refs := []metav1.OwnerReference{{UID: "a", BlockOwnerDeletion: &yes}, {UID: "b"}}
	got := unblocked(refs)
	if *got[0].BlockOwnerDeletion || got[1].BlockOwnerDeletion != nil || !yes {
		t.Errorf("%+v of %+v", got, refs)
	}
}
