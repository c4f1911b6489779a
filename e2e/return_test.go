//go:build lab

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// TestReturn is a worker that dies, is taken out of the configuration, and boots
// again later with all that it had: it must stay outside until it is named again.
func TestReturn(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-return", []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	if err := f.override("grace", "resource \"gantry_cluster\" \"this\" {\n  controller_manager = { node_monitor_grace_period = \"20s\" }\n}\n"); err != nil {
		t.Fatal(err)
	}
	worker, err := f.Lab.Host("worker-2")
	if err != nil {
		t.Fatal(err)
	}
	step := f.stepper(t)
	step("apply", f.Apply)
	step("a worker loses power", worker.PowerCut)
	step("it is taken out, and the apply says what holds of it", func(ctx context.Context) error {
		f.Workers = without(f.Workers, "worker-2")
		if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
			return err
		}
		out, err := f.Workspace.Terraform(ctx, "apply", "-auto-approve", "-input=false", "-no-color")
		if err != nil {
			return err
		}
		if err := says(out, "worker-2 ("+worker.Address+") was taken out of the cluster, but not cleaned", "its certificates are refused: it stays outside"); err != nil {
			return err
		}
		return soon(f.NodesReady)(ctx)
	})
	step("it boots again, is refused and told why", func(ctx context.Context) error {
		if err := worker.Boot(ctx); err != nil {
			return err
		}
		return Eventually(ctx, 20*time.Second, func(ctx context.Context) error { return refused(ctx, worker, "") })
	})
	step("it stays outside", func(ctx context.Context) error {
		for range 20 {
			if err := answered(f.NodesReady)(ctx); err != nil { // also of a Node that is deleted again
				return err
			}
			time.Sleep(400 * time.Millisecond)
		}
		return nil
	})
	step("nothing is left to plan", f.Unchanged)
	step("the API server restarts and still knows", func(ctx context.Context) error {
		master, err := f.Lab.Host("master-1")
		if err != nil {
			return err
		}
		if _, err := master.Run(ctx, "systemctl restart gantry-apiserver"); err != nil {
			return err
		}
		if _, err := worker.Run(ctx, "date +%s >/run/restarted; systemctl restart --no-block gantry-kubelet gantry-proxy gantry-dns"); err != nil {
			return err
		}
		if err := Eventually(ctx, 20*time.Second, func(ctx context.Context) error { return refused(ctx, worker, `--since "@$(cat /run/restarted)"`) }); err != nil {
			return err
		}
		return Eventually(ctx, 10*time.Second, f.NodesReady)
	})
	step("the configuration names it again, and it joins", func(ctx context.Context) error {
		f.Workers = append(f.Workers, "worker-2")
		return f.Apply(ctx)
	})
	step("nothing is left to plan", f.Unchanged)
	step("destroy leaves every server clean", f.Down)
}

// refused checks that each of a worker's processes logs why it is refused. Since are
// further arguments of journalctl.
func refused(ctx context.Context, worker *lab.Host, since string) error {
	for _, unit := range []string{"gantry-kubelet", "gantry-proxy", "gantry-dns"} {
		log, err := worker.Run(ctx, "journalctl --no-pager -q -o cat "+since+" -u "+unit)
		if err != nil {
			return err
		}
		if !strings.Contains(string(log), "node worker-2 was taken out of the cluster, and its certificate, valid from ") {
			return fmt.Errorf("%s logs no refusal:\n%s", unit, log)
		}
	}
	return nil
}
