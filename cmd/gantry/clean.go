package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/hostclean"
	"github.com/gantry-run/gantry/runtime/network"
)

// hostCommand holds what is done to a server as a whole.
func hostCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "host", Short: "Work on this server as a whole"}
	cmd.AddCommand(&cobra.Command{
		Use: "clean", Args: cobra.NoArgs,
		Short: "End all pods and remove what the processes left in the kernel (their units must be stopped)",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(
				hostclean.Clean(cmd.Context(), config.CgroupRoot, config.RunDir, config.StateDir),
				network.Cleanup(),
			)
		},
	}, hostHealthCommand())
	return cmd
}
