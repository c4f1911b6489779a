package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/google/nftables"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/lab/image"
	"github.com/gantry-run/gantry/runtime/config"
)

// sshCommand is ssh to a host as root.
func sshCommand(ctx context.Context, l *lab.Lab, host string, args ...string) (*exec.Cmd, error) {
	h, err := l.Host(host)
	if err != nil {
		return nil, err
	}
	return h.SSH(ctx, args...), nil
}

// dialFrom opens a connection from a host.
func dialFrom(ctx context.Context, l *lab.Lab, host, address string) (net.Conn, error) {
	cmd, err := sshCommand(context.WithoutCancel(ctx), l, host, "-W", address)
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	cmd.Stdin, cmd.Stdout = theirs, theirs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer theirs.Close()
		cmd.Wait() //nolint:errcheck // seen as the end of the connection
	}()
	return ours, nil
}

// ssh runs a command on a host as its operator would, with input.
func ssh(ctx context.Context, l *lab.Lab, host string, input []byte, remote string) (string, error) {
	cmd, err := sshCommand(ctx, l, host, remote)
	if err != nil {
		return "", err
	}
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("host %s: %s: %w\n%s%s", host, remote, err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// importProgram brings a static program to nodes, as an image in which it has a name.
func importProgram(ctx context.Context, l *lab.Lab, nodes []string, ref, name, path string, options image.Options) error {
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := image.WriteWith(&archive, ref, name, program, options); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := importImage(ctx, l, n, archive.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// importImage brings an image archive to a node.
func importImage(ctx context.Context, l *lab.Lab, host string, archive []byte) error {
	gantry := config.Binary("gantry")
	_, err := ssh(ctx, l, host, archive, "cat > /run/image.tar && "+gantry+" image import /run/image.tar && rm /run/image.tar")
	return err
}

// fingerprint tells whether a host was touched: when each of our processes was
// started, and when each of our files was written.
func fingerprint(ctx context.Context, h *lab.Host) (string, error) {
	out, err := h.Run(ctx, "systemctl show -p Id,ActiveState,ActiveEnterTimestampMonotonic,NRestarts 'gantry-*' | sort; "+
		"find "+config.BinDir+" "+config.ConfigDir+" "+config.UnitDir+" -type f -printf '%p %T@\\n' | sort")
	return string(out), err
}

// leftovers lists what a cluster left on a host that should be clean.
func leftovers(ctx context.Context, h *lab.Host) error {
	script := strings.Join([]string{
		"systemctl list-unit-files --no-legend 'gantry-*'; systemctl list-units --all --no-legend 'gantry-*'",
		"ls -d " + strings.Join([]string{"/opt/gantry", config.ConfigDir, config.StateDir, config.RunDir, config.PodLogDir, config.UnitDir + "/gantry-*"}, " ") + " 2>/dev/null",
		"ip -o link | grep -o ': " + config.LinkPrefix + "[^:@]*'",
		"ip route | grep -v 'dev host0 proto kernel'",
		"cut -d' ' -f2 /proc/mounts | grep -E '^/(opt|run|etc|var/lib)/gantry'",
		"find /sys/fs/cgroup -type d \\( -name 'kubepods*' -o -name 'gantry-*' \\)",
		"ps ax -o args= | grep -E '^[^ ]*(containerd|/opt/gantry)' | grep -v grep",
	}, "; ")
	out, err := h.Run(ctx, "{ "+script+"; } 2>&1; true")
	if err != nil {
		return err
	}
	tables, err := tables(ctx, h)
	if err != nil {
		return err
	}
	if found := strings.TrimSpace(string(out) + strings.Join(tables, "\n")); found != "" {
		return fmt.Errorf("host %s is not clean:\n%s", h.Name, found)
	}
	return nil
}

// tables lists the nftables tables in the host's network namespace. Of a virtual
// machine, whose kernel is out of reach, it lists what its rules still use.
func tables(ctx context.Context, h *lab.Host) ([]string, error) {
	if h.Virtual {
		out, err := h.Run(ctx, `awk '/^nft_/ && $3 > gsub(",", "", $4) {print "rules that need " $1}' /proc/modules`)
		return strings.Split(strings.TrimSpace(string(out)), "\n"), err
	}
	var out []string
	err := lab.Nftables(h, func(c *nftables.Conn) error {
		found, err := c.ListTables()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("list nftables tables: %w", err)
		}
		for _, t := range found {
			out = append(out, "nftables table "+t.Name)
		}
		return nil
	})
	return out, err
}
