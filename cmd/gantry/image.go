package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/containerd"
)

// imageCommand looks at and fills this node's image store.
func imageCommand() *cobra.Command {
	socket := config.ContainerdSocket
	cmd := &cobra.Command{Use: "image", Short: "Look at and fill this node's image store"}
	cmd.PersistentFlags().StringVar(&socket, "socket", socket, "containerd's socket")
	with := func(run func(*cobra.Command, *containerd.Adapter, []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			a, err := containerd.New(containerd.Config{Socket: socket}, slog.Default())
			if err != nil {
				return err
			}
			defer a.Close() // nothing is under way
			return run(cmd, a, args)
		}
	}
	cmd.AddCommand(&cobra.Command{
		Use: "import FILE...", Short: "Import OCI layouts or Docker archives (- is standard input)", Args: cobra.MinimumNArgs(1),
		RunE: with(func(cmd *cobra.Command, a *containerd.Adapter, files []string) error {
			for _, file := range files {
				var in io.Reader = cmd.InOrStdin()
				if file != "-" {
					f, err := os.Open(file)
					if err != nil {
						return err
					}
					defer f.Close()
					in = f
				}
				names, err := a.Import(cmd.Context(), in)
				if err != nil {
					return fmt.Errorf("import %s: %w", file, err)
				}
				for _, n := range names {
					fmt.Fprintln(cmd.OutOrStdout(), n)
				}
			}
			return nil
		}),
	}, &cobra.Command{
		Use: "list", Short: "List the images", Args: cobra.NoArgs,
		RunE: with(func(cmd *cobra.Command, a *containerd.Adapter, _ []string) error {
			images, err := a.Images(cmd.Context())
			if err != nil {
				return err
			}
			tw := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "IMAGE\tID\tMiB")
			for _, i := range images {
				fmt.Fprintf(tw, "%s\t%s\t%.1f\n", i.Name, i.ID, float64(i.Size)/(1<<20))
			}
			return tw.Flush()
		}),
	})
	return cmd
}
