package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/gantry-run/gantry/runtime/config"
)

// giveBack bounds giving the lease back: where no master answers it expires as well.
const giveBack = 2 * time.Second

// ErrLostLease is returned by [Lead] when another master took over: the process
// must end, since its caches may have acted on a lease it no longer held.
var ErrLostLease = errors.New("the leader lease was lost")

// Lead waits to hold the Lease kube-system/<name>, then runs work until ctx is
// done or the lease is lost (ErrLostLease). seen is told each leader's identity
// as it is first seen, this process's own among them; a process that sees another
// lead is a ready standby.
//
// When ctx ends the lease is renewed until work has returned, and only then given
// back: the next leader never meets a write of this one, and need not wait for
// the lease to expire. A lease that was lost is left to expire, since work may still be
// at its last write. Work's own error ends the lead and is returned.
func Lead(ctx context.Context, c kubernetes.Interface, name string, le config.LeaderElection, seen func(leader string), work func(context.Context) error) error {
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, metav1.NamespaceSystem, name,
		c.CoreV1(), c.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: le.Identity})
	if err != nil {
		return fmt.Errorf("leader election for %s: %w", name, err)
	}
	term := newTerm(ctx)
	defer term.end()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: name, Lock: &termLock{lock, term}, ReleaseOnCancel: true,
		LeaseDuration: le.LeaseDuration.Duration, RenewDeadline: le.RenewDeadline.Duration, RetryPeriod: le.RetryPeriod.Duration,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) { term.run(ctx, held, work) },
			OnStoppedLeading: func() {},
			OnNewLeader:      seen,
		},
	})
	if err != nil {
		return fmt.Errorf("leader election for %s: %w", name, err)
	}
	elector.Run(term.lease)
	return term.result(ctx)
}

// term is the time in which one process may hold the lease. lease outlives the
// caller's context while work drains.
type term struct {
	lease context.Context
	end   context.CancelFunc

	mu      sync.Mutex
	started bool
	done    chan struct{} // closed when work has returned
	err     error
}

func newTerm(ctx context.Context) *term {
	t := &term{done: make(chan struct{})}
	t.lease, t.end = context.WithCancel(context.WithValue(context.WithoutCancel(ctx), electing{}, true))
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.started { // nothing to drain: stop waiting for the lease
			t.end()
		}
	})
	return t
}

// run works while the lease is held and ctx is not done.
func (t *term) run(ctx, held context.Context, work func(context.Context) error) {
	t.mu.Lock()
	t.started = true
	t.mu.Unlock()
	defer t.end()
	defer close(t.done)
	held, cancel := context.WithCancel(held)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	t.err = work(held)
}

func (t *term) result(ctx context.Context) error {
	t.mu.Lock()
	started := t.started
	t.mu.Unlock()
	if !started {
		return nil
	}
	<-t.done
	if t.err != nil && !errors.Is(t.err, context.Canceled) {
		return t.err
	}
	if ctx.Err() == nil {
		return ErrLostLease
	}
	return nil
}

// electing marks what the elector does to get the lease and to keep it: all but giving
// it back, which it does with a context of its own that lasts as long as a renewal may.
type electing struct{}

// termLock is the lock of a term: it is given back when work has returned, and soon.
type termLock struct {
	resourcelock.Interface
	term *term
}

// Get begins each of the elector's steps.
func (l *termLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if ctx.Value(electing{}) != nil {
		return l.Interface.Get(ctx)
	}
	if l.term.lease.Err() == nil {
		return nil, nil, errors.New("the lease was lost, and is not given back while its work ends")
	}
	ctx, cancel := context.WithTimeout(ctx, giveBack)
	defer cancel()
	return l.Interface.Get(ctx)
}

// Update ends one.
func (l *termLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if ctx.Value(electing{}) == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, giveBack)
		defer cancel()
	}
	return l.Interface.Update(ctx, r)
}
