package admission

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
)

const (
	// emptyFor is how long a namespace that was found to have no LimitRange is not
	// looked up again; the cache tells of a new one within milliseconds.
	emptyFor = 30 * time.Second
	// emptyNamespaces bounds how many of them are remembered.
	emptyNamespaces = 10_000
	// liveTimeout bounds a lookup, which does not end with the request that began it.
	liveTimeout = 10 * time.Second
)

// LimitRanges finds the LimitRanges of a namespace: in a cache, and live where the
// cache has none, since a pod may be made right after the namespace's first one.
type LimitRanges struct {
	cached func(namespace string) ([]*corev1.LimitRange, error)
	synced func() bool
	live   func(ctx context.Context, namespace string) ([]*corev1.LimitRange, error)
	clock  clock.PassiveClock
	found  *lru.Cache // namespace → lookup
	group  singleflight.Group
}

type lookup struct {
	until time.Time
	list  []*corev1.LimitRange
}

// NewLimitRanges returns a finder. Before the cache is synced it is not believed.
func NewLimitRanges(cached func(string) ([]*corev1.LimitRange, error), synced func() bool,
	live func(context.Context, string) ([]*corev1.LimitRange, error), c clock.PassiveClock) *LimitRanges {
	return &LimitRanges{cached: cached, synced: synced, live: live, clock: c, found: lru.New(emptyNamespaces)}
}

// Of returns those of a namespace.
func (l *LimitRanges) Of(ctx context.Context, namespace string) ([]*corev1.LimitRange, error) {
	if !l.synced() {
		return l.live(ctx, namespace)
	}
	list, err := l.cached(namespace)
	if err != nil || len(list) > 0 {
		return list, err
	}
	if known, ok := l.found.Get(namespace); ok && l.clock.Now().Before(known.(lookup).until) {
		return known.(lookup).list, nil
	}
	// Many pods of a namespace ask once. The one that asks may give up; the others
	// must not fail with it, nor wait without end.
	got, err, _ := l.group.Do(namespace, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), liveTimeout)
		defer cancel()
		list, err := l.live(ctx, namespace)
		if err == nil {
			l.found.Add(namespace, lookup{l.clock.Now().Add(emptyFor), list})
		}
		return list, err
	})
	if err != nil {
		return nil, err
	}
	return got.([]*corev1.LimitRange), nil
}
