package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/presence"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/process/readiness"
)

// Lease is the name of the leader lease in kube-system.
const Lease = "gantry-controller-manager"

// Manager is the controller-manager process. It is ready when the controllers run, or
// when another master's do and this one stands by.
type Manager struct {
	*readiness.Status
	cfg    config.ControllerManagerConfig
	client *client.Client
	log    *slog.Logger
}

// New returns the manager. It does nothing until Run.
func New(cfg config.ControllerManagerConfig, c *client.Client, log *slog.Logger) (*Manager, error) {
	return &Manager{
		Status: readiness.NotReady("no leader of the controller-managers is known yet: the API may not answer"),
		cfg:    cfg, client: c, log: log,
	}, nil
}

// Run waits for the lease and runs the controllers until ctx is done. It fails
// when the lease is lost: the process must start anew.
func (m *Manager) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { m.client.TrackMasters(ctx) })
	return client.Lead(ctx, m.client, Lease, m.cfg.LeaderElection, m.leaderSeen, m.lead)
}

func (m *Manager) leaderSeen(leader string) {
	if leader != m.cfg.LeaderElection.Identity {
		m.log.Info("standing by", "leader", leader)
		m.Set(nil)
	}
}

// lead runs all controllers until ctx is done and their work has drained.
func (m *Manager) lead(ctx context.Context) error {
	m.Set(errors.New("the controllers' caches are not filled yet"))
	m.log.Info("leading")
	ca, err := os.ReadFile(m.cfg.RootCAFile)
	if err != nil {
		return fmt.Errorf("read the root CA to publish: %w", err)
	}
	objects, err := metadata.NewForConfig(m.client.REST)
	if err != nil {
		return fmt.Errorf("make a metadata client: %w", err)
	}
	// Events and caches outlive the controllers' last reconciliations.
	ambient, stop := context.WithCancel(context.WithoutCancel(ctx))
	factory := client.Informers(m.client)
	deps := reconcile.Deps{
		Client: m.client, REST: m.client.JSON(), Metadata: objects, Informers: factory, Presence: &presence.Kinds{},
		Clock: clock.RealClock{}, RootCA: ca, Config: m.cfg, Log: m.log,
		Events: client.Events(ambient, m.client, string(config.ControllerManager)),
	}
	all := controllers()
	made := make([]runner, len(all))
	for i, c := range all {
		if made[i], err = c.make(deps); err != nil {
			stop()
			return err
		}
	}
	factory.StartWithContext(ambient)
	defer factory.Shutdown()
	defer stop()

	var wg sync.WaitGroup
	errs := make([]error, len(made))
	for i, c := range made {
		wg.Go(func() { errs[i] = c.Run(ctx, all[i].workers) })
	}
	wg.Go(func() { m.readyOnceFilled(ctx, factory) })
	wg.Wait()
	return errors.Join(errs...)
}

func (m *Manager) readyOnceFilled(ctx context.Context, f informers.SharedInformerFactory) {
	for _, filled := range f.WaitForCacheSync(ctx.Done()) {
		if !filled {
			return
		}
	}
	m.Set(nil)
}
