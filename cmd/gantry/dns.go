package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/dns"
	"github.com/gantry-run/gantry/runtime/process"
)

func dnsCommand() *cobra.Command {
	cfg := &config.DNSConfig{}
	cmd := componentCommand(config.DNS, "Answer the cluster's names on this node", cfg, func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
		c, err := apiClient(cfg.Client, config.DNS)
		if err != nil {
			return nil, nil, err
		}
		return dns.New(*cfg, c, log), &process.Health{Health: cfg.Health, Reviews: c}, nil
	})
	cmd.AddCommand(prepareDNSCommand())
	return cmd
}

// prepareDNSCommand is run as root by the unit of cluster DNS, which is not.
func prepareDNSCommand() *cobra.Command {
	path := config.DNS.ConfigFile()
	cmd := &cobra.Command{
		Use: "prepare", Short: "Give this node the cluster DNS address, and who serves it its key", Args: cobra.NoArgs, Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			cfg := config.DNSConfig{}
			if err := config.Load(path, &cfg); err != nil {
				return err
			}
			dir := os.Getenv("RUNTIME_DIRECTORY") // systemd's, of the unit
			if dir == "" {
				return errors.New("RUNTIME_DIRECTORY is not set: this is run by the unit " + config.DNS.Unit())
			}
			return dns.Prepare(cfg, dir)
		},
	}
	cmd.Flags().StringVar(&path, "config", path, "configuration file")
	return cmd
}
