package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/dns"
	"github.com/gantry-run/gantry/runtime/process"
)

func dnsCommand() *cobra.Command {
	cfg := &config.DNSConfig{}
	return componentCommand(config.DNS, "Answer the cluster's names on this node", cfg, func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
		c, err := apiClient(cfg.Client, config.DNS)
		if err != nil {
			return nil, nil, err
		}
		return dns.New(*cfg, c, log), &process.Health{Health: cfg.Health, Reviews: c}, nil
	})
}
