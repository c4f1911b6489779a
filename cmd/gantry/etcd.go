package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/etcd"
	"github.com/gantry-run/gantry/runtime/process"
)

func etcdCommand() *cobra.Command {
	cfg := &config.EtcdConfig{}
	return componentCommand(config.Etcd, "Run this master's etcd member", cfg, func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
		// A member asks this master's API server about the clients of its health address.
		c, err := apiClient(config.APIClient{
			Servers: []string{config.APIServer.HealthAddress()}, CAFile: cfg.Health.ClientCAFile, KeyPair: cfg.Health.KeyPair,
		}, config.Etcd)
		if err != nil {
			return nil, nil, err
		}
		s, err := etcd.New(*cfg, log)
		return s, &process.Health{Health: cfg.Health, Reviews: c}, err
	})
}
