package containerd

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
)

// The containers of a pod share a shim, which ends when the last task in it is
// deleted. A task that is created at that moment is lost with it, and the shim
// may still answer for a moment after it was told to end. So deleting and
// creating tasks of one pod take turns, and a task that could not be created soon
// after another was deleted is tried again.

// shims guards the shims of pods. Pods share locks, to have a fixed number.
type shims struct {
	seed  maphash.Seed
	locks [64]struct {
		sync.Mutex
		deleted time.Time // when a task was, last
	}
}

// shimEnd is how long a shim may take to end.
const shimEnd = 2 * time.Second

func (s *shims) index(pod string) uint64 {
	return maphash.String(s.seed, pod) % uint64(len(s.locks))
}

// deleting runs what deletes a task of the pod.
func (s *shims) deleting(pod string, do func() error) error {
	l := &s.locks[s.index(pod)]
	l.Lock()
	defer l.Unlock()
	defer func() { l.deleted = time.Now() }()
	return do()
}

// creating runs what creates a task of the pod, again after it failed because of
// a shim that was ending; undo is called in between.
func (s *shims) creating(ctx context.Context, pod string, do func() error, undo func()) error {
	l := &s.locks[s.index(pod)]
	l.Lock()
	defer l.Unlock()
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		err := do()
		if err == nil || time.Since(l.deleted) > shimEnd {
			return err
		}
		undo()
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// newTask creates the task of a container.
func (a *Adapter) newTask(ctx context.Context, c containerd.Container, pod string, opts []containerd.NewTaskOpts, streams cio.Creator) (task containerd.Task, err error) {
	err = a.shims.creating(ctx, pod, func() (err error) {
		task, err = c.NewTask(ctx, streams, opts...)
		return err
	}, func() { a.endIO(c.ID()) })
	return task, err
}
