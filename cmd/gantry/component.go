package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process"
)

// componentCommand is the subcommand that runs one process: it loads the
// configuration file into cfg and runs what build makes of it.
func componentCommand(c config.Component, short string, cfg config.Completer, build func(ctx context.Context, log *slog.Logger) (process.Runner, *process.Health, error)) *cobra.Command {
	path := c.ConfigFile()
	cmd := &cobra.Command{
		Use: string(c), Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := process.Logger(c)
			if err := config.Load(path, cfg); err != nil {
				return err
			}
			runner, health, err := build(cmd.Context(), log)
			if err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			return process.Run(cmd.Context(), log, runner, health)
		},
	}
	cmd.Flags().StringVar(&path, "config", path, "configuration file")
	return cmd
}

// apiClient makes the client of a component, named by it in the API server's logs.
func apiClient(cfg config.APIClient, c config.Component) (*client.Client, error) {
	o, err := client.FromConfig(cfg, "gantry-"+string(c))
	if err != nil {
		return nil, err
	}
	return client.New(o)
}
