package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process"
	"github.com/gantry-run/gantry/runtime/scheduler"
)

func schedulerCommand() *cobra.Command {
	cfg := &config.SchedulerConfig{}
	return componentCommand(config.Scheduler, "Place pods on nodes", cfg,
		func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
			c, err := apiClient(cfg.Client, config.Scheduler)
			if err != nil {
				return nil, nil, err
			}
			s, err := scheduler.New(*cfg, c, log)
			return s, &process.Health{Health: cfg.Health, Reviews: c}, err
		})
}
