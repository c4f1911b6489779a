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
			// Volumes may lie on a disk of their own: they are removed before it is unmounted,
			// and after pods, and all that is mounted in these, are gone.
			return errors.Join(
				hostclean.Clean(cmd.Context(), config.CgroupRoot, config.RunDir, config.KubeletDir, config.DriverPodsDir, config.PluginDir),
				hostclean.RemoveVolumes(volumesDir()),
				hostclean.Clean(cmd.Context(), config.CgroupRoot, config.StateDir),
				network.Cleanup(),
			)
		},
	}, hostHealthCommand())
	return cmd
}

// volumesDir is where the volumes of this server lie. One whose kubelet has no
// configuration has never had any but in the default place.
func volumesDir() string {
	var cfg config.KubeletConfig
	if err := config.Load(config.Kubelet.ConfigFile(), &cfg); err != nil || cfg.Storage.Path == "" {
		return config.VolumesDir
	}
	return cfg.Storage.Path
}
