package expectations

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// patience bounds how long a lost event can hold a controller back.
const patience = 5 * time.Minute

// Expectations are kept per owner. The zero value is not usable; see [New].
type Expectations struct {
	clock clock.PassiveClock

	mu sync.Mutex
	of map[types.UID]*pending
}

type pending struct {
	creations int
	deletions map[types.UID]bool
	since     time.Time
}

// New returns an empty set of expectations.
func New(c clock.PassiveClock) *Expectations {
	return &Expectations{clock: c, of: map[types.UID]*pending{}}
}

// Fulfilled says whether everything that was asked for owner has been seen, or
// was waited for long enough.
func (e *Expectations) Fulfilled(owner types.UID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.of[owner]
	return p == nil || e.clock.Since(p.since) > patience
}

// Expect adds creations and deletions that are about to be asked for.
func (e *Expectations) Expect(owner types.UID, creations int, deletions ...types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.of[owner]
	if p == nil || e.clock.Since(p.since) > patience {
		p = &pending{deletions: map[types.UID]bool{}}
		e.of[owner] = p
	}
	p.since = e.clock.Now()
	p.creations += creations
	for _, uid := range deletions {
		p.deletions[uid] = true
	}
	e.settle(owner, p)
}

// Created notes creations that were seen, or that failed and never will be.
func (e *Expectations) Created(owner types.UID, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.of[owner]; p != nil {
		p.creations = max(0, p.creations-n)
		e.settle(owner, p)
	}
}

// Deleted notes a deletion that was seen, or that failed and never will be.
func (e *Expectations) Deleted(owner, uid types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.of[owner]; p != nil {
		delete(p.deletions, uid)
		e.settle(owner, p)
	}
}

// Forget drops what is known of an owner that is gone.
func (e *Expectations) Forget(owner types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.of, owner)
}

func (e *Expectations) settle(owner types.UID, p *pending) {
	if p.creations == 0 && len(p.deletions) == 0 {
		delete(e.of, owner)
	}
}
