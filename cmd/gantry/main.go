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
	if builtWithCgo {
		fmt.Fprintln(os.Stderr, "gantry: this program was built with cgo, and cannot run servers: build it with CGO_ENABLED=0, as make build does")
		os.Exit(1)
	}
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
