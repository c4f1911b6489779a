package main

import (
	"context"
	"log/slog"
	_ "time/tzdata" // a bare server need not have the time zones that CronJobs name

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/apiserver"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process"
)

func apiserverCommand() *cobra.Command {
	cfg := &config.APIServerConfig{}
	return componentCommand(config.APIServer, "Run this master's API server", cfg, func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
		s, err := apiserver.New(*cfg, version, kinds.Table(), log)
		return s, nil, err // health is served on the API's own port
	})
}
