package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	_ "k8s.io/component-base/metrics/prometheus/restclient" // metrics of API requests
	_ "k8s.io/component-base/metrics/prometheus/workqueue"  // metrics of controllers' queues

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller"
	"github.com/gantry-run/gantry/runtime/process"
)

func controllerManagerCommand() *cobra.Command {
	cfg := &config.ControllerManagerConfig{}
	return componentCommand(config.ControllerManager, "Run the controllers", cfg,
		func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
			c, err := apiClient(cfg.Client, config.ControllerManager)
			if err != nil {
				return nil, nil, err
			}
			m, err := controller.New(*cfg, c, log)
			return m, &process.Health{Health: cfg.Health, Reviews: c}, err
		})
}
