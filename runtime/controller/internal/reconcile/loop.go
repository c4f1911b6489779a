package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/gantry-run/gantry/runtime/client"
)

// Func makes the world of one key as desired. It is asked again after the given
// time (0: only when something changes), or with back-off when it fails.
type Func[K comparable] func(ctx context.Context, key K) (again time.Duration, err error)

// Sooner returns the shorter of two times to be asked again, where 0 means never.
func Sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}

// drainTime is how long a reconciliation may go on after the end was asked for.
// It is less than what stands between losing a lease and another master's
// taking it (lease duration less renew deadline, 5 s by default).
const drainTime = 3 * time.Second

// longestPause is how long a key waits at most that fails again and again. No event tells
// that what it failed of is over, a store without a quorum, say; one of the object itself
// ends the wait. Where no master accepts a connection nothing fails: writes wait for one.
const longestPause = 30 * time.Second

// Loop queues keys and reconciles them. One key is never reconciled twice at the
// same time.
type Loop[K comparable] struct {
	name   string
	log    *slog.Logger
	sync   Func[K]
	queue  workqueue.TypedRateLimitingInterface[K]
	synced []cache.InformerSynced
}

// New returns a loop whose reconciliations start once the given caches are filled.
func New[K comparable](name string, log *slog.Logger, sync Func[K], synced ...cache.InformerSynced) *Loop[K] {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[K](5*time.Millisecond, longestPause)
	return &Loop[K]{
		name: name, log: log.With("controller", name), sync: sync, synced: synced,
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[K]{Name: name}),
	}
}

// Add queues a key; one already queued is not queued twice.
func (l *Loop[K]) Add(key K) { l.queue.Add(key) }

// AddAfter queues a key at a later time.
func (l *Loop[K]) AddAfter(key K, d time.Duration) { l.queue.AddAfter(key, d) }

// Synced reports whether all handlers have seen their initial lists, and have queued what
// follows from them.
func (l *Loop[K]) Synced() bool {
	for _, synced := range l.synced {
		if !synced() {
			return false
		}
	}
	return true
}

// TakeQueued takes out the keys that are due: what a test's event has queued.
func (l *Loop[K]) TakeQueued() []K {
	var keys []K
	for l.queue.Len() > 0 {
		key, _ := l.queue.Get()
		l.queue.Done(key)
		keys = append(keys, key)
	}
	return keys
}

// Run reconciles with the given number of workers until ctx is done, and returns
// when none is at work.
func (l *Loop[K]) Run(ctx context.Context, workers int) error {
	defer l.queue.ShutDown()
	if err := client.WaitForSync(ctx, l.synced...); err != nil {
		return err
	}
	work, cancel := context.WithCancel(client.Patient(context.WithoutCancel(ctx)))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		l.queue.ShutDown()
		time.AfterFunc(drainTime, cancel)
	})
	defer stop()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for l.next(ctx, work) {
			}
		})
	}
	wg.Wait()
	return nil
}

// next reconciles one key; false when the queue has ended. Keys still queued at
// the end are left to the next leader, which lists everything anyway.
func (l *Loop[K]) next(ctx, work context.Context) bool {
	key, ended := l.queue.Get()
	if ended {
		return false
	}
	defer l.queue.Done(key)
	if ctx.Err() != nil {
		return true
	}
	again, err := l.guarded(work, key)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			l.report(key, err)
			l.queue.AddRateLimited(key)
		}
	case again > 0:
		l.queue.Forget(key)
		l.queue.AddAfter(key, again)
	default:
		l.queue.Forget(key)
	}
	return true
}

// guarded turns a panic into an error: one bad object must not stop the others.
func (l *Loop[K]) guarded(ctx context.Context, key K) (again time.Duration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return l.sync(ctx, key)
}

// report logs a failure. A conflict is a cache that is behind for a moment, which
// the retry heals, so it is no warning until it repeats.
func (l *Loop[K]) report(key K, err error) {
	level := slog.LevelWarn
	if l.queue.NumRequeues(key) < 5 && (apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "reconciliation failed, will retry", "key", fmt.Sprint(key), "error", err)
}
