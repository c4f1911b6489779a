package gc

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Identity names one object. Resource is empty for an owner that only references
// tell of.
type Identity struct {
	APIVersion, Kind string
	Namespace, Name  string
	UID              types.UID
}

// Object is what the collector needs to know of an object.
type Object struct {
	Identity
	Resource     Resource
	Owners       []metav1.OwnerReference
	Deleting     bool
	WaitsForDeps bool // being deleted in the foreground: it waits for its dependents
	Orphans      bool // being deleted with its dependents to be kept
}

// Graph knows which object owns which. An owner that no informer has shown yet is
// in it as a virtual node, so that dependents of an owner that never shows up are
// looked at. Safe for concurrent use.
type Graph struct {
	mu    sync.Mutex
	nodes map[types.UID]*node
}

type node struct {
	Object
	virtual    bool
	dependents map[types.UID]bool
}

// NewGraph returns an empty graph.
func NewGraph() *Graph { return &Graph{nodes: map[types.UID]*node{}} }

// Upsert takes an object as an informer shows it, and returns what must be looked
// at because of the change: objects by UID.
func (g *Graph) Upsert(o Object) []types.UID {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[o.UID]
	var was Object
	known := n != nil && !n.virtual
	if n == nil {
		n = &node{dependents: map[types.UID]bool{}}
		g.nodes[o.UID] = n
	} else {
		was = n.Object
	}
	n.Object, n.virtual = o, false
	look := g.link(o, was.Owners)

	switch {
	case o.Orphans, o.WaitsForDeps, o.Deleting && !was.Deleting:
		look = append(look, o.UID)
		if o.WaitsForDeps {
			look = append(look, g.blockers(n)...)
		}
	case !known && len(o.Owners) > 0, !slices.EqualFunc(o.Owners, was.Owners, sameOwner):
		look = append(look, o.UID)
		if known { // one that is held up no more
			look = append(look, g.waitingOwners(n)...)
		}
	}
	if o.Deleting && !was.Deleting {
		look = append(look, g.waitingOwners(n)...)
	}
	return look
}

// link moves the object's edges from its former owners to its present ones. It
// returns virtual owners, which are to be verified.
func (g *Graph) link(o Object, former []metav1.OwnerReference) []types.UID {
	var look []types.UID
	for _, ref := range former {
		if owner := g.nodes[ref.UID]; owner != nil && !slices.ContainsFunc(o.Owners, func(r metav1.OwnerReference) bool { return r.UID == ref.UID }) {
			delete(owner.dependents, o.UID)
			if owner.WaitsForDeps || owner.Orphans {
				look = append(look, ref.UID)
			}
			g.dropIfVirtual(ref.UID)
		}
	}
	for _, ref := range o.Owners {
		owner := g.nodes[ref.UID]
		if owner == nil {
			owner = &node{virtual: true, dependents: map[types.UID]bool{}, Object: Object{Identity: Identity{
				APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: o.Namespace, Name: ref.Name, UID: ref.UID,
			}}}
			g.nodes[ref.UID] = owner
		}
		owner.dependents[o.UID] = true
	}
	return look
}

// Remove takes the deletion of an object, and returns what must be looked at:
// its dependents, and owners that waited for it.
func (g *Graph) Remove(uid types.UID) []types.UID {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[uid]
	if n == nil {
		return nil
	}
	look := g.waitingOwners(n)
	for dep := range n.dependents {
		look = append(look, dep)
	}
	delete(g.nodes, uid)
	for _, ref := range n.Owners {
		if owner := g.nodes[ref.UID]; owner != nil {
			delete(owner.dependents, uid)
			g.dropIfVirtual(ref.UID)
		}
	}
	// Dependents still name the owner: the next look finds it absent.
	return look
}

func (g *Graph) dropIfVirtual(uid types.UID) {
	if n := g.nodes[uid]; n != nil && n.virtual && len(n.dependents) == 0 {
		delete(g.nodes, uid)
	}
}

// waitingOwners are owners whose own deletion waits for this object.
func (g *Graph) waitingOwners(n *node) []types.UID {
	var out []types.UID
	for _, ref := range n.Owners {
		if owner := g.nodes[ref.UID]; owner != nil && owner.WaitsForDeps {
			out = append(out, ref.UID)
		}
	}
	return out
}

// blockers are the dependents that a deletion in the foreground waits for.
func (g *Graph) blockers(n *node) []types.UID {
	var out []types.UID
	for uid := range n.dependents {
		dep := g.nodes[uid]
		if dep == nil {
			continue
		}
		for _, ref := range dep.Owners {
			if ref.UID == n.UID && ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion {
				out = append(out, uid)
			}
		}
	}
	return out
}

// View is one object and its surroundings at one moment.
type View struct {
	Object
	// Virtual: no informer has shown it; only references tell of it.
	Virtual    bool
	Dependents []Object
	// Blockers are those dependents that the object's deletion waits for.
	Blockers []Object
	// Owners by UID, as far as an informer has shown them.
	KnownOwners map[types.UID]Object
}

// View returns the surroundings of an object; false when it is not known.
func (g *Graph) View(uid types.UID) (View, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[uid]
	if n == nil {
		return View{}, false
	}
	v := View{Object: n.Object, Virtual: n.virtual, KnownOwners: map[types.UID]Object{}}
	for dep := range n.dependents {
		if d := g.nodes[dep]; d != nil {
			v.Dependents = append(v.Dependents, d.Object)
		}
	}
	for _, b := range g.blockers(n) {
		v.Blockers = append(v.Blockers, g.nodes[b].Object)
	}
	for _, ref := range n.Owners {
		if owner := g.nodes[ref.UID]; owner != nil && !owner.virtual {
			v.KnownOwners[ref.UID] = owner.Object
		}
	}
	return v, true
}

func sameOwner(a, b metav1.OwnerReference) bool {
	return a.UID == b.UID && (a.BlockOwnerDeletion != nil && *a.BlockOwnerDeletion) == (b.BlockOwnerDeletion != nil && *b.BlockOwnerDeletion)
}
