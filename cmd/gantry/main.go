// Command gantry is the multi-call binary: each runtime process is one of its
// subcommands, and so are the operator's tools on a server. It turns flags into
// components and joins them; nothing else lives here.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{
		Use:           "gantry",
		Short:         "The processes of a Gantry cluster, and the tools to look at it",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		etcdCommand(),
		apiserverCommand(),
		controllerManagerCommand(),
		schedulerCommand(),
		kubeletCommand(),
		proxyCommand(),
		dnsCommand(),
		clusterCommand(),
		hostCommand(),
		imageCommand(),
		kubectlCommand(),
		snapshotCommand(),
		versionCommand(),
	)
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "gantry:", err)
		os.Exit(1)
	}
}
