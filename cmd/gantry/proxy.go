package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/netpol"
	"github.com/gantry-run/gantry/runtime/process"
	"github.com/gantry-run/gantry/runtime/proxy"
)

func proxyCommand() *cobra.Command {
	cfg := &config.ProxyConfig{}
	return componentCommand(config.Proxy, "Forward Services to pods and enforce NetworkPolicies", cfg, func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
		c, err := apiClient(cfg.Client, config.Proxy)
		if err != nil {
			return nil, nil, err
		}
		p, err := proxy.New(*cfg, c, log)
		if err != nil {
			return nil, nil, err
		}
		legacyregistry.RawMustRegister(p.Collectors()...)
		return traffic{p, netpol.New(cfg.NodeName, c, log)}, &process.Health{Health: cfg.Health, Reviews: c}, nil
	})
}

// traffic runs what decides about a node's packets, as one process.
type traffic struct {
	services *proxy.Proxy
	policies *netpol.Enforcer
}

func (t traffic) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.services.Run(ctx) })
	g.Go(func() error { return t.policies.Run(ctx) })
	return g.Wait()
}

func (t traffic) Ready() error { return errors.Join(t.services.Ready(), t.policies.Ready()) }
