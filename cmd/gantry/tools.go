package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"
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

// kubectlCommand is kubectl itself, for machines that lack it. Its commands and
// their help are made when it is asked for: no other process is to hold them.
func kubectlCommand() *cobra.Command {
	return &cobra.Command{
		Use: "kubectl", Short: "kubectl, for machines that lack it", DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			os.Args = append([]string{"kubectl"}, args...) // where it looks for plugins' names
			c := kubectl.NewDefaultKubectlCommand()
			c.SetArgs(args)
			return c.ExecuteContext(cmd.Context())
		},
	}
}

// quietGRPC keeps a tool's output its own. k8s.io/apiserver, which this binary links,
// has gRPC log each connection that fails; a tool says by itself who does not answer.
func quietGRPC() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}
