package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// Lease is the name of the leader lease in kube-system.
const Lease = "gantry-scheduler"

// Scheduler is the scheduler process.
type Scheduler struct {
	cfg    config.SchedulerConfig
	client *client.Client
	log    *slog.Logger
	unfit  atomic.Pointer[error] // why it is not ready; nil: it is
}

// New returns the scheduler. It does nothing until Run.
func New(cfg config.SchedulerConfig, c *client.Client, log *slog.Logger) (*Scheduler, error) {
	s := &Scheduler{cfg: cfg, client: c, log: log}
	s.notReady(errors.New("no leader of the schedulers is known yet: the API may not answer"))
	return s, nil
}

func (s *Scheduler) notReady(err error) { s.unfit.Store(&err) }

// Ready is nil when pods are being placed, or when another master's scheduler
// does that and this one stands by.
func (s *Scheduler) Ready() error {
	if p := s.unfit.Load(); p != nil {
		return *p
	}
	return nil
}

// Run waits for the lease and places pods until ctx is done. It fails when the
// lease is lost: the process must start anew.
func (s *Scheduler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { s.client.TrackMasters(ctx) })
	return client.Lead(ctx, s.client, Lease, s.cfg.LeaderElection, func(leader string) {
		if leader != s.cfg.LeaderElection.Identity {
			s.log.Info("standing by", "leader", leader)
			s.unfit.Store(nil)
		}
	}, func(ctx context.Context) error {
		s.notReady(errors.New("the scheduler's caches are not filled yet"))
		s.log.Info("leading")
		// Events and caches outlive the last binding.
		ambient, stop := context.WithCancel(context.WithoutCancel(ctx))
		factory := client.Informers(s.client)
		w := newWorker(s.client, client.Events(ambient, s.client, schedulerName), clock.RealClock{}, rand.IntN, s.log)
		synced := w.watch(factory)
		factory.StartWithContext(ambient)
		defer factory.Shutdown()
		defer stop()
		if !cache.WaitForCacheSync(ctx.Done(), synced...) {
			return ctx.Err()
		}
		s.unfit.Store(nil)
		w.run(ctx)
		return nil
	})
}

const (
	// schedulerName is the one that pods name to be placed by this scheduler.
	schedulerName = "default-scheduler"
	// bindings bounds the binding requests under way.
	bindings = 64
	// drainTime is how long bindings may go on after the end was asked for.
	drainTime = 3 * time.Second
	// expiry is how long after its binding succeeded an assumed pod is believed in
	// though no informer shows it bound.
	expiry = 30 * time.Second
)

// worker is one term of placing pods.
type worker struct {
	client kubernetes.Interface
	events record.EventRecorder
	clock  clock.WithTicker
	tie    func(int) int
	log    *slog.Logger
	queue  *queue
	slots  chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex // guards the following
	cluster *core.Cluster
	assumed assumptions
}

func newWorker(c kubernetes.Interface, events record.EventRecorder, clk clock.WithTicker, tie func(int) int, log *slog.Logger) *worker {
	return &worker{
		client: c, events: events, clock: clk, tie: tie, log: log, queue: newQueue(clk),
		slots: make(chan struct{}, bindings), cluster: core.New(), assumed: assumptions{},
	}
}

// run places pods until ctx is done and the bindings under way have ended.
func (w *worker) run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer w.wg.Wait()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })()
	w.wg.Go(func() { w.housekeep(ctx) })
	timer := w.clock.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		it, pod, wait := w.queue.pop()
		if it != nil {
			w.place(ctx, work, it, pod)
			continue
		}
		if wait == 0 {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-w.queue.wake:
		case <-timer.C():
		}
	}
}

// housekeep tries forgotten pods again and drops assumptions that did not come true.
func (w *worker) housekeep(ctx context.Context) {
	tick := w.clock.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
			w.queue.flush()
			w.expire()
		}
	}
}
