package main

import (
	"fmt"

	"github.com/spf13/cobra"
	kubectl "k8s.io/kubectl/pkg/cmd"
)

// version is set by the linker (see GNUmakefile).
var version = "0.0.0-dev"

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version) },
	}
}

// kubectlCommand is kubectl itself, for machines that lack it.
func kubectlCommand() *cobra.Command { return kubectl.NewDefaultKubectlCommand() }
