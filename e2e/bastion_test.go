//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/lab"
)

// TestBastion is a cluster whose servers' sshd answers to a bastion alone.
func TestBastion(t *testing.T) {
	f := newFlow(t, "bastion", "e2e-bastion", []string{"master-1"}, []string{"worker-1"}, []string{"bastion"})
	step := f.stepper(t)
	bastion, err := f.Lab.Host("bastion")
	if err != nil {
		t.Fatal(err)
	}
	jump := func(key string) error {
		vars := fmt.Sprintf("jump_hosts = [{ address = %q, host_key = %q, user = %q }]\n", bastion.Address, key, lab.User)
		return os.WriteFile(filepath.Join(f.Workspace.Dir, "bastion.auto.tfvars"), []byte(vars), 0o600)
	}
	var open []func() error
	step("the servers' sshd answers to the bastion alone", func(ctx context.Context) error {
		for _, n := range f.Nodes() {
			h, err := f.Lab.Host(n)
			if err != nil {
				return err
			}
			undo, err := onlySSHFrom(h, bastion.Address)
			if err != nil {
				return err
			}
			open = append(open, undo)
			if conn, err := net.DialTimeout("tcp", h.Address+":22", 300*time.Millisecond); err == nil {
				conn.Close()
				return fmt.Errorf("host %s can be reached directly", n)
			}
		}
		return nil
	})
	step("a bastion with another key is refused, and nothing done", func(ctx context.Context) error {
		other, err := f.Lab.Host("master-1")
		if err != nil {
			return err
		}
		if err := jump(other.HostKey); err != nil {
			return err
		}
		err = f.Workspace.Apply(ctx)
		if err == nil || !strings.Contains(strings.Join(strings.Fields(err.Error()), " "), "host key changed") {
			return fmt.Errorf("the apply says: %w", err)
		}
		return jump(bastion.HostKey)
	})
	step("apply", f.Apply)
	step("nothing is left to plan", f.Unchanged)
	step("servers share the login at the bastion", func(ctx context.Context) error {
		there, err := logins(ctx, bastion)
		if err != nil {
			return err
		}
		behind := 0
		for _, n := range f.Nodes() {
			h, err := f.Lab.Host(n)
			if err != nil {
				return err
			}
			got, err := logins(ctx, h)
			if err != nil {
				return err
			}
			behind += got
		}
		t.Logf("    %d logins at the bastion, %d at the servers behind it", there, behind)
		if there == 0 || there >= behind {
			return fmt.Errorf("%d logins at the bastion for %d at the servers behind it", there, behind)
		}
		return nil
	})
	step("destroy leaves every server clean", func(ctx context.Context) error {
		if err := f.Workspace.Destroy(ctx); err != nil {
			return err
		}
		for _, undo := range open {
			if err := undo(); err != nil {
				return err
			}
		}
		return f.Clean(ctx)
	})
}

// logins counts those by key since the host was switched on.
func logins(ctx context.Context, h *lab.Host) (int, error) {
	out, err := h.Run(ctx, "journalctl --no-pager -o cat -t sshd")
	return strings.Count(string(out), "Accepted publickey for "), err
}

// onlySSHFrom drops what comes to the host's sshd from any other address.
func onlySSHFrom(h *lab.Host, address string) (undo func() error, err error) {
	in := func(do func(*nftables.Conn)) error {
		return lab.Nftables(h, func(c *nftables.Conn) error { do(c); return c.Flush() })
	}
	source := net.ParseIP(address).To4()
	if source == nil {
		return nil, errors.New("not an IPv4 address: " + address)
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: "test-bastion"}
	err = in(func(c *nftables.Conn) {
		c.AddTable(table)
		chain := c.AddChain(&nftables.Chain{Name: "input", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0, 22}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: source},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	})
	return func() error { return in(func(c *nftables.Conn) { c.DelTable(table) }) }, err
}
