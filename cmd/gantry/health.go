package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process"
)

// hostHealthCommand asks every process of this host whether it is ready, with
// the kubelet's certificate, which every node has.
func hostHealthCommand() *cobra.Command {
	path := "/readyz"
	cmd := &cobra.Command{
		Use: "health [COMPONENT…]", Short: "Ask the processes of this host whether they are ready",
		RunE: func(cmd *cobra.Command, args []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			var errs []error
			for _, c := range slices.Concat(config.MasterComponents(), config.WorkerComponents()) {
				if _, err := os.Stat(c.ConfigFile()); err != nil || (len(args) > 0 && !slices.Contains(args, string(c))) {
					continue
				}
				answer, err := ask(cmd.Context(), c, path)
				if err != nil {
					answer = err.Error()
					errs = append(errs, fmt.Errorf("%s is not ready", c))
				}
				fmt.Fprintf(w, "%s\t%s\n", c, strings.TrimSpace(answer))
			}
			return errors.Join(append(errs, w.Flush())...)
		},
	}
	cmd.Flags().StringVar(&path, "path", path, "/readyz, /healthz or /metrics")
	return cmd
}

func ask(ctx context.Context, c config.Component, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if c == config.Containerd { // it has a socket, and no health address
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", config.ContainerdSocket)
		if err != nil {
			return "", err
		}
		return "ok", conn.Close()
	}
	return process.Probe(ctx, c.HealthAddress(), path, config.KubeletCert.KeyPair(), config.CA.CertFile())
}
