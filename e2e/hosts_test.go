//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/lab"
)

// TestTrouble is a life with an unprivileged user, keys that are pinned on first
// contact, a terraform that is killed again and again, and servers that fail.
func TestTrouble(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-trouble", []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	step := f.stepper(t)
	w := f.Workspace
	w.User, w.TrustFirst = lab.User, true
	if err := w.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		t.Fatal(err)
	}
	worker, err := f.Lab.Host("worker-2")
	if err != nil {
		t.Fatal(err)
	}

	step("terraform is killed while etcd starts", f.killedAt("master-1", "start etcd", "began"))
	step("and again when the master has just joined", f.killedAt("master-1", "joined", "done"))
	step("and again while the binaries go to a worker", f.killedAt("worker-2", "binaries", "began"))
	step("a worker cannot be installed: the rest is, it is pending", func(ctx context.Context) error {
		if _, err := worker.Run(ctx, "mount -t tmpfs -o ro tmpfs /opt"); err != nil {
			return err
		}
		out, err := w.Terraform(ctx, "apply", "-auto-approve", "-input=false", "-no-color")
		if err != nil {
			return err
		}
		out = strings.Join(strings.Fields(out), " ")
		for _, want := range []string{
			`Warning: Host worker-2: step "prepare" failed`, "Host: worker-2 (" + worker.Address + ")", "Command: sh -c", "Exit status: 1",
			"Read-only file system", "The host is marked pending; the next apply takes it up.",
		} {
			if !strings.Contains(out, want) {
				return fmt.Errorf("the apply's output lacks %q:\n%s", want, out)
			}
		}
		return f.states(map[string]string{"worker-1": "ready", "worker-2": "pending"})
	})
	step("once it is mended, the next apply takes it up", func(ctx context.Context) error {
		if _, err := worker.Run(ctx, "umount /opt"); err != nil {
			return err
		}
		if err := f.Apply(ctx); err != nil {
			return err
		}
		return f.states(map[string]string{"worker-1": "ready", "worker-2": "ready"})
	})
	step("nothing is left to plan", f.Unchanged)
	step("an ephemeral kubeconfig opens the cluster", f.ephemeral)
	step("the state holds no secret", f.noSecretInState)
	step("a changed host key is refused", func(ctx context.Context) error {
		const keys = "/etc/ssh/ssh_host_ed25519_key"
		const swap = "mv " + keys + " " + keys + ".x; mv " + keys + ".pub " + keys + ".y; "
		if _, err := worker.Run(ctx, swap+"ssh-keygen -q -t ed25519 -N '' -f "+keys); err != nil {
			return err
		}
		out, err := w.Terraform(ctx, "plan", "-input=false", "-no-color")
		if err != nil {
			return err
		}
		if out = strings.Join(strings.Fields(out), " "); !strings.Contains(out, "host key changed") || !strings.Contains(out, "Its state is kept as it was.") {
			return fmt.Errorf("the plan says:\n%s", out)
		}
		if _, err := worker.Run(ctx, "mv -f "+keys+".x "+keys+"; mv -f "+keys+".y "+keys+".pub"); err != nil {
			return err
		}
		return f.Unchanged(ctx)
	})
	step("destroy leaves every server clean", f.Down)
}

// killedAt kills an apply at a step, and waits until nothing is at work any more. Where the
// run that was killed before had gone past it, it begins with bare servers.
func (f *Flow) killedAt(host, step, state string) func(context.Context) error {
	return func(ctx context.Context) error {
		for try := 1; ; try++ {
			err := f.Workspace.KillApply(ctx, host, step, state)
			if err == nil {
				return f.noLease(ctx)
			}
			if !errors.Is(err, errPassed) || try == cutTries {
				return err
			}
			if err := f.applied(ctx); err != nil {
				return fmt.Errorf("a run ended well before %q of %s, and not all is as it is to be: %w", step, host, err)
			}
			if err := f.Workspace.Destroy(ctx); err != nil {
				return err
			}
			if err := f.Clean(ctx); err != nil {
				return err
			}
		}
	}
}

// states checks the status of the pool's hosts, and that their keys are pinned.
func (f *Flow) states(want map[string]string) error {
	data, err := f.Workspace.State()
	if err != nil {
		return err
	}
	var state struct {
		Resources []struct {
			Type      string
			Instances []struct {
				Status     string
				Attributes struct {
					Status map[string]struct {
						State   string
						HostKey string `json:"host_key"`
					}
				}
			}
		}
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return err
	}
	for _, r := range state.Resources {
		for _, i := range r.Instances {
			if i.Status != "" {
				return fmt.Errorf("%s is %s", r.Type, i.Status)
			}
			if r.Type != "gantry_node_pool" {
				continue
			}
			for name, want := range want {
				h, err := f.Lab.Host(name)
				if err != nil {
					return err
				}
				if s := i.Attributes.Status[name]; s.State != want || s.HostKey != h.HostKey {
					return fmt.Errorf("%s is %q with key %q, want %s with %q", name, s.State, s.HostKey, want, h.HostKey)
				}
			}
		}
	}
	return nil
}

const ephemeralConfig = `
ephemeral "gantry_kubeconfig" "test" {
  cluster  = gantry_cluster.this.handle
  validity = "10m"
}

resource "terraform_data" "nodes" {
  input = gantry_node_pool.workers.id

  provisioner "local-exec" {
    command     = "umask 077; printenv KUBECONFIG_DATA >kc && kubectl --kubeconfig=kc get nodes -o name >nodes.txt; rm -f kc"
    environment = { KUBECONFIG_DATA = ephemeral.gantry_kubeconfig.test.kubeconfig }
  }
}
`

// ephemeral uses a kubeconfig that no state ever holds, as a configuration would.
func (f *Flow) ephemeral(ctx context.Context) error {
	file := filepath.Join(f.Workspace.Dir, "ephemeral.tf")
	if err := os.WriteFile(file, []byte(strings.Replace(ephemeralConfig, "kubectl", strings.Join(f.tools.Kubectl, " "), 1)), 0o600); err != nil {
		return err
	}
	if err := f.Workspace.Init(ctx); err != nil { // terraform_data's provider is terraform's own
		return err
	}
	if err := f.Workspace.Apply(ctx); err != nil {
		return err
	}
	out, err := os.ReadFile(filepath.Join(f.Workspace.Dir, "nodes.txt"))
	if err != nil {
		return err
	}
	for _, n := range f.Nodes() {
		if !strings.Contains(string(out), "node/"+n+"\n") {
			return fmt.Errorf("the ephemeral kubeconfig sees nodes %q", out)
		}
	}
	return nil
}
