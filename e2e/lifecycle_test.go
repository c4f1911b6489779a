//go:build lab

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// TestLifecycle is what may happen to a cluster between its applies and in the
// middle of them: two at once, cuts, drift, changed settings, budgets.
func TestLifecycle(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-lifecycle", []string{"master-1"}, []string{"worker-1"}, []string{"worker-2"})
	step := f.stepper(t)

	step("apply", f.Apply)
	step("of two applies at once, one is refused and told by whom", func(ctx context.Context) error { return f.twoAtOnce(ctx, t.TempDir()) })
	step("nothing is left to plan", f.Unchanged)
	step("labels, taints and annotations change, and nothing restarts", f.relabel)
	step("settings change, and only the processes that read them restart", f.settings)
	step("a lost Node, a foreign taint and a changed label are planned and mended", f.nodeDrift)
	step("deploy the application", func(ctx context.Context) error { return f.Cluster.Deploy(ctx, f.Workers...) })
	step("a budget holds a removal up; it is told beforehand, and undone", f.blockedDrain)
	step("nothing is left to plan where the worker stays", f.stays)
	step("with force the worker leaves", f.forcedDrain)
	step("a joining worker is cut at each kind of step", func(ctx context.Context) error { return f.cutJoining(ctx, t) })
	step("the next apply converges", f.Apply)
	step("nothing is left to plan", f.Unchanged)
	step("another version is applied, and no pod notices", func(ctx context.Context) error { return f.upgrade(ctx, t.TempDir()) })
	step("a leaving worker is cut at each kind of step", func(ctx context.Context) error { return f.cutLeaving(ctx, t) })
	step("nothing is left to plan", f.Unchanged)
	step("a destroy is cut at each kind of step", func(ctx context.Context) error { return f.cutDestroy(ctx, t) })
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
	if err := os.WriteFile(filepath.Join(other.Dir, "now_override.tf"), []byte("provider \"gantry\" {\n  lock_timeout = \"0s\"\n}\n"), 0o600); err != nil {
		return err
	}
	if _, err := other.Plan(ctx); err != nil { // beforehand, so that it comes at once
		return err
	}
	joining, err := f.Lab.Host("worker-2")
	if err != nil {
		return err
	}
	var refused string
	var secondErr error
	first, err := f.Workspace.DisturbApply(ctx, "worker-2", "binaries", "began", func(*os.Process) error {
		// The first stands still with its server, however long the second takes to start.
		if err := joining.Pause(ctx); err != nil {
			return err
		}
		refused, secondErr = other.Terraform(ctx, "apply", "-input=false", "-no-color", "plan")
		return joining.Resume(context.WithoutCancel(ctx))
	})
	if err != nil {
		return err
	}
	if secondErr == nil {
		return fmt.Errorf("the second apply was not refused:\n%s", refused)
	}
	machine, err := os.Hostname()
	if err != nil {
		return err
	}
	if err := says(secondErr.Error(), "another run is at work on this cluster: ", "@"+machine+" (process ",
		"update pool workers of cluster quickstart, since 20", "Nothing was changed"); err != nil {
		return err
	}
	if strings.Contains(first, "run lock") {
		return fmt.Errorf("the run that was refused has disturbed the first:\n%s", first)
	}
	// A server that stood still for long may have been given up by the first.
	return f.Apply(ctx)
}

// override changes a resource of the configuration.
func (f *Flow) override(name, body string) error {
	return f.Workspace.Override(name, body)
}

// starts is when each of our processes was started, by "host unit".
func (f *Flow) starts(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for _, n := range f.Nodes() {
		h, err := f.Lab.Host(n)
		if err != nil {
			return nil, err
		}
		out, err := h.Run(ctx, "for u in $(systemctl list-units --plain --no-legend 'gantry-*' | cut -d' ' -f1); do echo $u $(systemctl show -p ActiveEnterTimestampMonotonic $u); done")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(out)) {
			unit, at, _ := strings.Cut(strings.TrimSpace(line), " ")
			all[n+" "+unit] = at
		}
	}
	return all, nil
}

// restarted are those that were started between two answers of starts.
func restarted(before, after map[string]string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(after)), func(unit string) bool { return before[unit] == after[unit] })
}

// applyWith applies with an override, and returns when our processes were started,
// before it and after it.
func (f *Flow) applyWith(ctx context.Context, name, body string) (before, after map[string]string, err error) {
	if before, err = f.starts(ctx); err != nil {
		return nil, nil, err
	}
	if err := f.override(name, body); err != nil {
		return nil, nil, err
	}
	if err := f.Apply(ctx); err != nil {
		return nil, nil, err
	}
	after, err = f.starts(ctx)
	return before, after, err
}

func (f *Flow) relabel(ctx context.Context) error {
	before, after, err := f.applyWith(ctx, "pool", `resource "gantry_node_pool" "workers" {
  labels      = { tier = "web" }
  annotations = { "example.com/rack" = "r1" }
  taints      = [{ key = "example.com/soft", effect = "PreferNoSchedule" }]
}
`)
	if err != nil {
		return err
	}
	if units := restarted(before, after); len(units) > 0 {
		return fmt.Errorf("restarted were %q", units)
	}
	if err := f.labelled(ctx); err != nil {
		return err
	}
	return f.Unchanged(ctx)
}

// settings changes one of the pool and one of the cluster.
func (f *Flow) settings(ctx context.Context) error {
	before, after, err := f.applyWith(ctx, "settings", `resource "gantry_cluster" "this" {
  controller_manager = { node_monitor_grace_period = "30s" }
}

resource "gantry_node_pool" "workers" {
  drain_timeout = "3s"
  kubelet       = { max_pods = 50, reserved = { memory = "256Mi" } }
}
`)
	if err != nil {
		return err
	}
	units, want := restarted(before, after), []string{"master-1 " + config.ControllerManager.Unit(), "worker-1 " + config.Kubelet.Unit(), "worker-2 " + config.Kubelet.Unit()}
	if !slices.Equal(units, want) {
		return fmt.Errorf("restarted were %q, want %q", units, want)
	}
	return soon(func(ctx context.Context) error {
		out, err := f.Cluster.Kubectl(ctx, "get", "nodes", "-l", "tier=web", "-o", "jsonpath={.items[*].status.allocatable.pods}")
		if err == nil && out != "50 50" {
			err = fmt.Errorf("the workers take %q pods", out)
		}
		return err
	})(ctx)
}

// labelled checks what relabel put on each worker.
func (f *Flow) labelled(ctx context.Context) error {
	out, err := f.Cluster.Kubectl(ctx, "get", "nodes", "-l", "tier=web", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.metadata.annotations.example\.com/rack} {.spec.taints[*].key}{"\n"}{end}`)
	if err != nil {
		return err
	}
	want := ""
	for _, w := range f.Workers {
		want += w + " r1 example.com/soft\n"
	}
	if out != want {
		return fmt.Errorf("workers have %q, want %q", out, want)
	}
	return nil
}

func (f *Flow) nodeDrift(ctx context.Context) error {
	for _, change := range [][]string{
		{"delete", "node", "worker-2"},
		{"taint", "node", "worker-1", "example.com/broken=:NoSchedule"},
		{"label", "node", "worker-1", "tier=db", "--overwrite"},
	} {
		if _, err := f.Cluster.Kubectl(ctx, change...); err != nil {
			return err
		}
	}
	changes, err := f.Workspace.Plan(ctx)
	if err != nil {
		return err
	}
	if len(changes) != 1 || changes[0].Address != pool {
		return fmt.Errorf("the plan should update %s alone: %+v", pool, changes)
	}
	status, _ := changes[0].Before["status"].(map[string]any)
	for host, parts := range map[string][]string{
		"worker-1": {"its Node: label tier is \"db\" instead of \"web\"", "its Node: taint example.com/broken:NoSchedule is not of the configuration"},
		// Its kubelet makes it again within a second, without what the configuration says of it.
		"worker-2": {"its Node", "is missing"},
	} {
		s, _ := status[host].(map[string]any)
		message, _ := s["message"].(string)
		for _, part := range parts {
			if !strings.Contains(message, part) {
				return fmt.Errorf("of %s the plan says %q, and not %q", host, message, part)
			}
		}
	}
	if err := f.Apply(ctx); err != nil {
		return err
	}
	if err := f.labelled(ctx); err != nil {
		return err
	}
	return f.Unchanged(ctx)
}

// blockedDrain removes a worker whose pods a budget keeps.
func (f *Flow) blockedDrain(ctx context.Context) error {
	err := f.Cluster.Apply(ctx, `apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: hello
spec:
  minAvailable: 4
  selector:
    matchLabels: {app: hello}
`)
	if err != nil {
		return err
	}
	err = Eventually(ctx, 20*time.Second, func(ctx context.Context) error {
		out, err := f.Cluster.Kubectl(ctx, "get", "pdb", "hello", "-o", "jsonpath={.status.currentHealthy} {.status.disruptionsAllowed}")
		if err == nil && out != "4 0" {
			err = fmt.Errorf("the budget says %q", out)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, without(f.Workers, "worker-2")); err != nil {
		return err
	}
	out, err := f.Workspace.Terraform(ctx, "plan", "-input=false", "-no-color")
	if err != nil {
		return err
	}
	if err := says(out, "Pool workers: worker-2 will leave the cluster", "worker-2 leaves; pods to be evicted: ", "(default/hello-",
		"The disruption budget default/hello allows no eviction now, and would hold the drain up: default/hello-"); err != nil {
		return err
	}
	_, err = f.Workspace.Terraform(ctx, "apply", "-auto-approve", "-input=false", "-no-color")
	if err == nil {
		return fmt.Errorf("the worker left against the budget")
	}
	if err := says(err.Error(), `step "drain" failed`, "disruption budget"); err != nil {
		return err
	}
	unschedulable, err := f.Cluster.Kubectl(ctx, "get", "node", "worker-2", "-o", "jsonpath={.spec.unschedulable}")
	if err == nil && unschedulable != "" {
		err = fmt.Errorf("the worker is left unschedulable")
	}
	return err
}

// stays goes back to the configuration with the worker.
func (f *Flow) stays(ctx context.Context) error {
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	if err := f.Unchanged(ctx); err != nil {
		return err
	}
	return soon(func(ctx context.Context) error { return f.AppReady(ctx, 4) })(ctx)
}

func (f *Flow) forcedDrain(ctx context.Context) error {
	if err := f.override("drain", "resource \"gantry_node_pool\" \"workers\" {\n  drain_timeout    = \"1s\"\n  on_drain_timeout = \"force\"\n}\n"); err != nil {
		return err
	}
	f.Workers = without(f.Workers, "worker-2")
	if err := f.Apply(ctx); err != nil {
		return err
	}
	h, err := f.Lab.Host("worker-2")
	if err != nil {
		return err
	}
	if err := leftovers(ctx, h); err != nil {
		return err
	}
	return f.Unchanged(ctx)
}

// says checks parts of terraform's output, whatever its line breaks.
func says(out string, parts ...string) error {
	flat := strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " ")
	for _, part := range parts {
		if !strings.Contains(flat, part) {
			return fmt.Errorf("it does not say %q:\n%s", part, out)
		}
	}
	return nil
}
