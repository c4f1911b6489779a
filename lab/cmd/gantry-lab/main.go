// Command gantry-lab starts, lists, stops and breaks real bare servers on this
// machine (see package lab).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "gantry-lab", Short: "Real bare servers on this machine", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(start(), list(), show(), stopCommand(), clean(), sweep(), image(), run(), partition(),
		onHost("boot", "Switch a host on", (*lab.Host).Boot),
		onHost("power-cut", "Take a host's power", (*lab.Host).PowerCut),
		onHost("shutdown", "Shut a host down in order", (*lab.Host).Shutdown),
		onHost("reboot", "Shut a host down and boot it", (*lab.Host).Reboot))
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "gantry-lab:", err)
		os.Exit(1)
	}
}

const releaseUsage = "code name of the release that they run: bookworm, trixie, jammy, noble, resolute (this machine's own)"

func start() *cobra.Command {
	var hosts, virtual []string
	var memory int64
	var release string
	cmd := &cobra.Command{Use: "start LAB --hosts a,b,c", Short: "Boot bare servers, which stay (an older lab of that name is removed)", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Start(cmd.Context(), lab.Options{Name: args[0], Hosts: hosts, Virtual: virtual, Release: release, MemoryBytes: memory << 20, Keep: true})
			if err != nil {
				return err
			}
			return printJSON(l.Inventory())
		}}
	cmd.Flags().StringSliceVar(&hosts, "hosts", nil, "names of the servers")
	cmd.Flags().StringSliceVar(&virtual, "virtual", nil, "names of further servers that are virtual machines (own kernel, cgroup v2; slower)")
	cmd.Flags().StringVar(&release, "release", "", releaseUsage)
	cmd.Flags().Int64Var(&memory, "memory-mib", 0, "memory limit of each server in MiB (0: none)")
	return cmd
}

func list() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List labs and their hosts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			labs, err := lab.List()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "LAB\tHOST\tADDRESS\tSTATE")
			for _, l := range labs {
				for _, h := range l.Hosts {
					state := "off"
					if h.Running() {
						state = "on"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Name, h.Name, h.Address, state)
				}
			}
			return w.Flush()
		}}
}

func show() *cobra.Command {
	var masters, workers []string
	cmd := &cobra.Command{Use: "show LAB [--masters a,b --workers c,d]", Short: "Print a lab as JSON, or as Terraform variables by role", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lab.Open(args[0])
			if err != nil {
				return err
			}
			if len(masters)+len(workers) == 0 {
				return printJSON(l.Inventory())
			}
			vars, err := l.Variables(masters, workers)
			if err != nil {
				return err
			}
			return printJSON(vars)
		}}
	cmd.Flags().StringSliceVar(&masters, "masters", nil, "hosts that are masters")
	cmd.Flags().StringSliceVar(&workers, "workers", nil, "hosts that are workers")
	return cmd
}

func stopCommand() *cobra.Command {
	return &cobra.Command{Use: "stop LAB", Short: "Remove a lab", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return lab.Stop(cmd.Context(), args[0]) }}
}

func clean() *cobra.Command {
	return &cobra.Command{Use: "clean", Short: "Remove every lab", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return lab.Clean(cmd.Context()) }}
}

func sweep() *cobra.Command {
	return &cobra.Command{Use: "sweep", Short: "Take away what killed runs left; labs that somebody has stay", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			took, err := lab.Sweep(cmd.Context())
			for _, line := range took {
				fmt.Fprintln(cmd.OutOrStdout(), "took away:", line)
			}
			return err
		}}
}

func image() *cobra.Command {
	var release string
	cmd := &cobra.Command{Use: "image", Short: "Make the root file system that servers are copied from, where it is missing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := lab.MakeImage(cmd.Context(), release)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), dir)
			return err
		}}
	cmd.Flags().StringVar(&release, "release", "", releaseUsage)
	return cmd
}

func onHost(name, short string, f func(*lab.Host, context.Context) error) *cobra.Command {
	return &cobra.Command{Use: name + " LAB HOST", Short: short, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := find(args[0], args[1])
			if err != nil {
				return err
			}
			return f(h, cmd.Context())
		}}
}

func run() *cobra.Command {
	return &cobra.Command{Use: "run LAB HOST COMMAND…", Short: "Run a shell command as root inside a host", Args: cobra.MinimumNArgs(3),
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := find(args[0], args[1])
			if err != nil {
				return err
			}
			out, err := h.Run(cmd.Context(), strings.Join(args[2:], " "))
			_, werr := cmd.OutOrStdout().Write(out)
			return errors.Join(err, werr)
		}}
}

func partition() *cobra.Command {
	return &cobra.Command{Use: "partition LAB [HOST…]", Short: "Cut hosts from the other hosts; with none, heal", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lab.Open(args[0])
			if err != nil {
				return err
			}
			return l.Partition(args[1:]...)
		}}
}

func find(labName, host string) (*lab.Host, error) {
	l, err := lab.Open(labName)
	if err != nil {
		return nil, err
	}
	return l.Host(host)
}

func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
