package scheduler

import (
	"errors"
	"sync"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// assumeExpiration is how long after its binding succeeded an assumed pod is
// believed in though no informer shows it bound.
const assumeExpiration = 30 * time.Second

// cache holds the changes that informers have seen and the snapshot has not, and the
// pods that are assumed to be bound. The snapshot is the scheduling cycle's: it is
// read and written only by the goroutine that calls update, assume and nominate.
type cache struct {
	clock    clock.PassiveClock
	snapshot *core.Snapshot
	changed  chan struct{} // has one element when there may be changes

	mu      sync.Mutex // guards the following, and is held for no decision
	changes []func(*core.Snapshot)
	assumed map[types.UID]*assumedPod
}

// assumedPod is taken to be on its node before an informer says so.
type assumedPod struct {
	pod  *core.PodInfo
	node string
	// deadline is when the assumption ends; zero while the binding is under way.
	deadline time.Time
}

func newCache(c clock.PassiveClock) *cache {
	return &cache{clock: c, snapshot: core.NewSnapshot(), changed: make(chan struct{}, 1), assumed: map[types.UID]*assumedPod{}}
}

// change adds a change for the next update.
func (c *cache) change(f func(*core.Snapshot)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(f)
}

// add is change with the lock held.
func (c *cache) add(f func(*core.Snapshot)) {
	c.changes = append(c.changes, f)
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// update brings the snapshot up to date.
func (c *cache) update() {
	c.mu.Lock()
	changes := c.changes
	c.changes = nil
	c.mu.Unlock()
	for _, f := range changes {
		f(c.snapshot)
	}
}

// assume puts a pod on its node in the snapshot. It is false when an informer has
// shown the pod on a node since the snapshot was updated.
func (c *cache) assume(p *core.PodInfo, node string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.changes {
		f(c.snapshot)
	}
	c.changes = nil
	if _, assigned := c.snapshot.NodeOf(p.Pod.UID); assigned {
		return false
	}
	c.snapshot.AddPod(p, node)
	c.assumed[p.Pod.UID] = &assumedPod{pod: p, node: node}
	return true
}

// nominate brings the snapshot's nominations up to what a failed attempt says: the pod's
// own, and those that end for its sake. It belongs to the scheduling cycle.
func (c *cache) nominate(p *core.PodInfo, err error) {
	var fit *core.FitError
	if errors.As(err, &fit) && fit.Result == nil {
		return
	}
	if c.snapshot.Unnominate(p.Pod.UID); fit == nil || fit.Result.NominatedNodeName == "" {
		return
	}
	for _, other := range fit.Result.Displaced {
		c.snapshot.Unnominate(other.Pod.UID)
	}
	c.snapshot.Nominate(p, fit.Result.NominatedNodeName)
}

func (c *cache) setDisruptionBudget(o *policyv1.PodDisruptionBudget) {
	c.change(func(s *core.Snapshot) { s.Budgets.Set(o) })
}

func (c *cache) deleteDisruptionBudget(o *policyv1.PodDisruptionBudget) {
	c.change(func(s *core.Snapshot) { s.Budgets.Remove(o.Namespace, o.Name) })
}

func (c *cache) isAssumed(uid types.UID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.assumed[uid] != nil
}

// finishBinding starts the time in which an informer must show an assumed pod bound.
func (c *cache) finishBinding(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.assumed[uid]; a != nil {
		a.deadline = c.clock.Now().Add(assumeExpiration)
	}
}

// forget takes an assumed pod off its node, unless it was confirmed or is gone.
func (c *cache) forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.assumed[uid] != nil {
		c.remove(uid)
	}
}

// expired takes off and returns the assumed pods that are bound, as the API said,
// but that no informer has shown: they were deleted in between.
func (c *cache) expired() []*assumedPod {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*assumedPod
	now := c.clock.Now()
	for uid, a := range c.assumed {
		if !a.deadline.IsZero() && now.After(a.deadline) {
			out = append(out, a)
			c.remove(uid)
		}
	}
	return out
}

// addPod puts a pod on the node that it is bound to. It returns the node that the
// pod was assumed on, "" if it was not.
func (c *cache) addPod(p *core.PodInfo, node string) (assumedOn string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.assumed[p.Pod.UID]; a != nil {
		assumedOn = a.node
		delete(c.assumed, p.Pod.UID)
	}
	c.add(func(s *core.Snapshot) { s.AddPod(p, node) })
	return assumedOn
}

// removePod forgets a pod that is gone. It says whether it was assumed.
func (c *cache) removePod(uid types.UID) (assumed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	assumed = c.assumed[uid] != nil
	c.remove(uid)
	return assumed
}

func (c *cache) remove(uid types.UID) {
	delete(c.assumed, uid)
	c.add(func(s *core.Snapshot) {
		s.RemovePod(uid)
		s.Unnominate(uid)
	})
}
