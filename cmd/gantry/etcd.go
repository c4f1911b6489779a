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
	return componentCommand(config.Etcd, "Run this master's etcd member", cfg, func(_ context.Context, log *slog.Logger) (process.Runner, *config.Health, error) {
		s, err := etcd.New(*cfg, log)
		return s, &cfg.Health, err
	})
}
