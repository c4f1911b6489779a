package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process/readiness"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// Lease is the name of the leader lease in kube-system.
const Lease = "gantry-scheduler"

// Scheduler is the scheduler process. It is ready when pods are being scheduled, or
// when another master's scheduler does that and this one stands by.
type Scheduler struct {
	*readiness.Status
	cfg    config.SchedulerConfig
	client *client.Client
	log    *slog.Logger
}

// New returns the scheduler, or what is wrong with its profiles. It does nothing
// until Run.
func New(cfg config.SchedulerConfig, c *client.Client, log *slog.Logger) (*Scheduler, error) {
	if _, err := newProfiles(cfg.Profiles, core.DefaultPlugins(core.Volumes{}, core.Devices{})); err != nil {
		return nil, err
	}
	return &Scheduler{
		Status: readiness.NotReady("no leader of the schedulers is known yet: the API may not answer"),
		cfg:    cfg, client: c, log: log,
	}, nil
}

// Run waits for the lease and schedules pods until ctx is done. It fails when the
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
			s.Set(nil)
		}
	}, s.lead)
}

// lead schedules pods until ctx is done.
func (s *Scheduler) lead(ctx context.Context) error {
	s.Set(errors.New("the scheduler's caches are not filled yet"))
	s.log.Info("leading")
	// Events and caches outlive the last binding.
	ambient, stop := context.WithCancel(context.WithoutCancel(ctx))
	factory := client.Informers(s.client)
	binder := newVolumeBinder(s.client, factory, clock.RealClock{})
	devices, slices, err := devicesOf(ambient, factory, s.client)
	if err != nil {
		stop()
		return err
	}
	defer slices.Stop()
	profiles, err := newProfiles(s.cfg.Profiles, core.DefaultPlugins(volumesOf(factory, binder), devices))
	if err != nil {
		stop()
		return err
	}
	l := newLoop(s.client, client.Events(ambient, s.client, corev1.DefaultSchedulerName), clock.RealClock{}, profiles, rand.IntN, s.log)
	synced := append(l.addEventHandlers(factory), l.addVolumeHandlers(factory, binder)...)
	more, err := addDeviceHandlers(l, factory, slices)
	if err != nil {
		stop()
		return err
	}
	synced = append(synced, more...)
	factory.StartWithContext(ambient)
	defer factory.Shutdown()
	defer stop()
	if err := client.WaitForSync(ctx, synced...); err != nil {
		return err
	}
	s.Set(nil)
	l.run(ctx)
	return nil
}
