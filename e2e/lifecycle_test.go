//go:build lab

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// TestLifecycle is what may happen to a cluster between its applies and in the
// middle of them: two at once, cuts, drift, changed settings, budgets.
func TestLifecycle(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-lifecycle", []string{"master-1"}, []string{"worker-1"}, []string{"worker-2"})
	step := stepper(t)

	step("apply", f.Apply)
	step("of two applies at once, one is refused and told by whom", func(ctx context.Context) error { return f.twoAtOnce(ctx, t.TempDir()) })
	step("nothing is left to plan", f.Unchanged)
	step("a growing pool is cut at each kind of step", func(ctx context.Context) error { return f.cutEverywhere(ctx, t) })
	step("the next apply converges", f.Apply)
	step("nothing is left to plan", f.Unchanged)
	step("destroy leaves every server clean", f.Down)
}

// twoAtOnce applies from two directories with the same state. The first adds a
// worker; the second comes when it is at work.
func (f *Flow) twoAtOnce(ctx context.Context, dir string) error {
	f.Workers = append(f.Workers, "worker-2")
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	other, err := f.Workspace.Copy(filepath.Join(dir, "other"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(other.Dir, "now_override.tf"), []byte("provider \"gantry\" {\n  lease_timeout = \"0s\"\n}\n"), 0o600); err != nil {
		return err
	}
	if _, err := other.Plan(ctx); err != nil { // beforehand, so that it comes at once
		return err
	}
	var refused string
	var secondErr error
	_, err = f.Workspace.DisturbApply(ctx, "worker-2", "binaries", "began", func(*os.Process) error {
		refused, secondErr = other.Terraform(ctx, "apply", "-input=false", "-no-color", "plan")
		return nil
	})
	if err != nil {
		return err
	}
	if secondErr == nil {
		return fmt.Errorf("the second apply was not refused:\n%s", refused)
	}
	said := strings.Join(strings.Fields(strings.ReplaceAll(secondErr.Error(), "│", " ")), " ")
	machine, err := os.Hostname()
	if err != nil {
		return err
	}
	for _, want := range []string{"another run is at work on this cluster: ", "@" + machine + " (process ", "update pool workers of cluster quickstart, since 20", "Nothing was changed"} {
		if !strings.Contains(said, want) {
			return fmt.Errorf("the refusal lacks %q:\n%s", want, said)
		}
	}
	return f.NodesReady(ctx)
}

// cutEverywhere removes the worker and adds it again, and cuts that at each kind of
// step: what was done before the cut is not done again, so that each apply comes
// further than the one before.
func (f *Flow) cutEverywhere(ctx context.Context, t *testing.T) error {
	all := f.Workers
	f.Workers = without(f.Workers, "worker-2")
	if err := f.Apply(ctx); err != nil {
		return err
	}
	f.Workers = all
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	worker, err := f.Lab.Host("worker-2")
	if err != nil {
		return err
	}
	kill := func(_ context.Context, terraform *os.Process) error { return terraform.Kill() }
	interrupt := func(_ context.Context, terraform *os.Process) error { return terraform.Signal(os.Interrupt) }
	hangUp := func(ctx context.Context, _ *os.Process) error { return dropSSH(ctx, worker) }
	power := func(ctx context.Context, _ *os.Process) error { return worker.PowerCut(ctx) }
	for _, c := range []struct {
		step, state, name string
		cut               func(context.Context, *os.Process) error
	}{
		{"prepare", "began", "SIGKILL", kill},
		{"identity", "began", "SSH dropped", hangUp},
		{"binaries", "began", "SIGINT", interrupt},
		{"binaries", "done", "power cut", power},
		{"credentials", "done", "SIGKILL", kill},
		{"configuration", "began", "SSH dropped", hangUp},
		{"start node processes", "began", "power cut", power},
		{"start node processes", "began", "SIGINT", interrupt},
		{"wait for the node", "began", "SIGKILL", kill},
	} {
		start := time.Now()
		out, err := f.Workspace.DisturbApply(ctx, "worker-2", c.step, c.state, func(terraform *os.Process) error { return c.cut(ctx, terraform) })
		if err != nil {
			return fmt.Errorf("%s at %s: %w", c.name, c.step, err)
		}
		if err := worker.Boot(ctx); err != nil {
			return err
		}
		if err := f.states(map[string]string{"worker-1": "ready"}); err != nil {
			return fmt.Errorf("%s at %s: %w\n%s", c.name, c.step, err, out)
		}
		t.Logf("    %-12s at %-22s %5.1f s", c.name, c.step, time.Since(start).Seconds())
	}
	return nil
}

// dropSSH ends every connection of a host's sshd, which goes on serving.
func dropSSH(ctx context.Context, h *lab.Host) error {
	_, err := h.Run(ctx, `for p in $(pidof sshd); do [ "$p" = "$(systemctl show -p MainPID --value ssh)" ] || kill -9 "$p"; done`)
	return err
}
