package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/etcd"
	"github.com/gantry-run/gantry/runtime/snapshot"
)

// snapshotCommand saves what makes a master, and makes one of it.
func snapshotCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "snapshot", Short: "Save a master in a file, and restore a cluster from one whose masters were all lost"}
	cmd.AddCommand(&cobra.Command{
		Use: "save FILE", Args: cobra.ExactArgs(1), Short: "Save the store, the authorities and the configuration of this master",
		Long: "Save the store, the authorities and the configuration of this master.\n\nThe file holds the keys of the cluster: whoever has it can be anybody in the cluster. " +
			"Keep it elsewhere than on a master, as you keep such keys.",
		RunE: func(cmd *cobra.Command, args []string) error {
			quietGRPC()
			var store config.EtcdConfig
			var api config.APIServerConfig
			for c, into := range map[config.Component]config.Completer{config.Etcd: &store, config.APIServer: &api} {
				if err := config.Load(c.ConfigFile(), into); err != nil {
					return fmt.Errorf("this server is no master that could be saved: %w", err)
				}
			}
			fetch := func(ctx context.Context, path string) error { return etcd.Fetch(ctx, api.Etcd, path) }
			if err := snapshot.Save(cmd.Context(), "/", store, time.Now(), fetch, args[0]); err != nil {
				return err
			}
			m, err := snapshot.Read(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "saved master %s (%s) of cluster %s in %s\n", m.Name, m.Address, m.ClusterID, args[0])
			return nil
		},
	}, &cobra.Command{
		Use: "restore FILE", Args: cobra.ExactArgs(1), Short: "Make this bare server the first master again of the cluster of a snapshot",
		Long: "Make this bare server the first master again of the cluster of a snapshot, when all masters were lost.\n\n" +
			"The server needs the address of the master that was saved. The other masters and this server's node are made by the next terraform apply.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(config.EtcdClientPort)), time.Second); err == nil {
				c.Close()
				return errors.New("an etcd runs on this server: a snapshot is restored on a bare one")
			}
			addresses, err := ownAddresses()
			if err != nil {
				return err
			}
			m, err := snapshot.Restore("/", args[0], addresses)
			if err != nil {
				return err
			}
			if err := installSelf(config.Binary("gantry")); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "This server is master %s of cluster %s as of %s, and not started. Now:\n  systemctl daemon-reload\n  systemctl enable --now",
				m.Name, m.ClusterID, m.Taken.Format(time.RFC3339))
			for _, c := range config.MasterComponents() {
				fmt.Fprint(cmd.OutOrStdout(), " "+c.Unit())
			}
			fmt.Fprintln(cmd.OutOrStdout(), "\nand then terraform apply, with bare servers for the other masters.")
			return nil
		},
	})
	return cmd
}

func ownAddresses() ([]string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range addrs {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			out = append(out, ip.String())
		}
	}
	return out, nil
}

// installSelf puts this program where the units start it from.
func installSelf(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o755)
}
