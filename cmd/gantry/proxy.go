package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process"
	"github.com/gantry-run/gantry/runtime/proxy"
)

func proxyCommand() *cobra.Command {
	cfg := &config.ProxyConfig{}
	return componentCommand(config.Proxy, "Forward Services to pods", cfg, func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
		c, err := apiClient(cfg.Client, config.Proxy)
		if err != nil {
			return nil, nil, err
		}
		p, err := proxy.New(*cfg, c, log)
		if err != nil {
			return nil, nil, err
		}
		legacyregistry.RawMustRegister(p.Collectors()...)
		return p, &process.Health{Health: cfg.Health, Reviews: c}, nil
	})
}
