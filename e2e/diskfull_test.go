//go:build lab

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestDiskFull has the disk of a server run out of room at each kind of step: of a
// worker and of masters that join, and of a worker and a master that leave. Each
// apply ends and says so, taints nothing and leaves no run lock; the next one, with
// room, comes further.
func TestDiskFull(t *testing.T) {
	masters, workers := []string{"master-1"}, []string{"worker-1"}
	f := newFlowOn(t, "quickstart", lab.Options{
		Name: "e2e-diskfull", Hosts: []string{"master-1", "master-2", "master-3", "worker-1", "worker-2"}, DiskBytes: 3 << 30,
	}, masters, workers)
	if err := f.override("full", "provider \"gantry\" {\n  node_timeout = \"60s\"\n}\n"); err != nil {
		t.Fatal(err)
	}
	step := f.stepper(t)
	full := func(hosts ...fullDisk) {
		for _, d := range hosts {
			step(fmt.Sprintf("%s with %d MB left at %q %s", d.host, d.left>>20, d.step, d.state), func(ctx context.Context) error { return f.fullAt(ctx, d) })
		}
	}
	converges := func() {
		step("with room, the next apply converges", f.Apply)
		step("nothing is left to plan", f.Unchanged)
	}
	full(fullDisk{host: "master-1", step: "start etcd", fails: "start etcd"})
	step("with room, the next apply converges", f.Apply)

	f.Workers = append(f.Workers, "worker-2")
	full(
		fullDisk{host: "worker-2", step: "prepare", fails: "prepare"},
		fullDisk{host: "worker-2", step: "identity", fails: "identity"},
		fullDisk{host: "worker-2", step: "binaries", left: 16 << 20, fails: "binaries"},  // the small ones fit
		fullDisk{host: "worker-2", step: "binaries", left: 100 << 20, fails: "binaries"}, // all but the largest fit
		fullDisk{host: "worker-2", step: "credentials", fails: "credentials"},
		fullDisk{host: "worker-2", step: "configuration", fails: "configuration"},
		fullDisk{host: "worker-2", step: "start node processes", fails: "start node processes"},
		// As long as the node is waited for; it may be Ready all the same.
		fullDisk{host: "worker-2", step: "start node processes", state: "done", fails: "joined"},
		fullDisk{host: "worker-2", step: "joined", fails: "joined"},
	)
	step("no line of its journal is cut", func(ctx context.Context) error { return f.journalIsWhole(ctx, "worker-2") })
	step("the plan is about the worker that was full", func(ctx context.Context) error { return f.pending(ctx, "worker-2") })
	converges()

	f.Masters = append(f.Masters, "master-2")
	full(fullDisk{host: "master-2", step: "binaries", left: 16 << 20, fails: "binaries"}) // in mid-upload: workers take theirs from a master
	f.Masters = append(f.Masters, "master-3")
	full(
		fullDisk{host: "master-2", step: "start etcd", fails: "start etcd"},
		fullDisk{host: "master-2", step: "vote", fails: "vote"},
		fullDisk{host: "master-3", step: "start apiserver", fails: "start apiserver"},
	)
	converges()
	step("each master votes and serves", soon(f.mastersServe))
	step("a worker and a master run full, and recover with room", func(ctx context.Context) error { return f.fullForAWhile(ctx, "master-2", "worker-1") })

	step("a full worker and a full master leave", func(ctx context.Context) error {
		f.Masters, f.Workers = without(f.Masters, "master-3"), without(f.Workers, "worker-2")
		if err := f.fill(ctx, "master-3", "worker-2"); err != nil {
			return err
		}
		return f.Apply(ctx)
	})
	step("nothing is left to plan", f.Unchanged)
	step("destroy leaves every server clean", f.Down)
}

// fullDisk is a host that has no more than so many bytes left from a state of a step
// on, and the step that fails of it.
type fullDisk struct {
	host, step string
	state      string // of that step, began by default
	left       int
	fails      string
}

// fullAt applies while a disk runs full, and gives it its room back.
func (f *Flow) fullAt(ctx context.Context, full fullDisk) error {
	h, err := f.Lab.Host(full.host)
	if err != nil {
		return err
	}
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	if err := fillWhen(ctx, h, full); err != nil {
		return err
	}
	out, err := f.Workspace.Terraform(ctx, "apply", "-auto-approve", "-input=false", "-no-color")
	if err != nil {
		out = err.Error()
	}
	if !strings.Contains(strings.ToLower(strings.Join(strings.Fields(out), " ")), "no space left on device") {
		return fmt.Errorf("it does not say that there is no space left:\n%s", out)
	}
	if err := says(out, fmt.Sprintf("Host %s: step %q failed", full.host, full.fails), "Make room"); err != nil {
		return err
	}
	state, err := f.Workspace.State()
	if err != nil {
		return err
	}
	if strings.Contains(string(state), `"tainted"`) {
		return fmt.Errorf("a resource is tainted:\n%s", out)
	}
	if err := f.noLease(ctx); err != nil {
		return err
	}
	_, err = h.Run(ctx, "rm -f /usr/local/sbin/cat /var/lib/full*")
	return err
}

// fill fills disks to the last byte.
func (f *Flow) fill(ctx context.Context, hosts ...string) error {
	for _, name := range hosts {
		h, err := f.Lab.Host(name)
		if err != nil {
			return err
		}
		if err := fillWhen(ctx, h, fullDisk{step: "never"}); err != nil {
			return err
		}
		if _, err := h.Run(ctx, "/usr/local/sbin/fill"); err != nil {
			return err
		}
	}
	return nil
}

// fullForAWhile fills disks below running processes. No apply mends what comes of it:
// it must mend itself.
func (f *Flow) fullForAWhile(ctx context.Context, hosts ...string) error {
	if err := f.fill(ctx, hosts...); err != nil {
		return err
	}
	for i := range 20 { // what a master writes, on the others too
		if err := f.Cluster.Apply(ctx, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: full-%d\ndata:\n  x: %q\n", i, strings.Repeat("x", 100_000))); err != nil {
			return err
		}
	}
	for _, name := range hosts {
		h, err := f.Lab.Host(name)
		if err != nil {
			return err
		}
		if _, err := h.Run(ctx, "rm -f /usr/local/sbin/cat /var/lib/full*"); err != nil {
			return err
		}
	}
	if err := Eventually(ctx, 30*time.Second, f.mastersServe); err != nil {
		return err
	}
	return f.Unchanged(ctx)
}

// pending checks that a plan changes those hosts and no other.
func (f *Flow) pending(ctx context.Context, hosts ...string) error {
	changes, err := f.Workspace.Plan(ctx)
	if err != nil {
		return err
	}
	var changed []string
	for _, c := range changes {
		if !slices.Equal(c.Actions, []string{"update"}) {
			return fmt.Errorf("the plan should update, and not %v %s", c.Actions, c.Address)
		}
		before, _ := c.Before["status"].(map[string]any)
		after, _ := c.After["status"].(map[string]any)
		for name := range union(before, after) {
			if !reflect.DeepEqual(before[name], after[name]) {
				changed = append(changed, name)
			}
		}
	}
	if slices.Sort(changed); !slices.Equal(changed, hosts) {
		return fmt.Errorf("the plan should change %v, and not %v: %+v", hosts, changed, changes)
	}
	return nil
}

// journalIsWhole checks that each line on a host is one entry.
func (f *Flow) journalIsWhole(ctx context.Context, host string) error {
	h, err := f.Lab.Host(host)
	if err != nil {
		return err
	}
	out, err := h.Run(ctx, "cat "+config.BootstrapDir+"/journal.jsonl")
	if err != nil {
		return err
	}
	failed := 0
	for line := range bytes.Lines(out) {
		var e struct{ Step, State string }
		if err := json.Unmarshal(line, &e); err != nil || e.Step == "" {
			return fmt.Errorf("a line of the journal is %q: %w", line, err)
		}
		if e.State == "failed" {
			failed++
		}
	}
	if failed == 0 {
		return fmt.Errorf("the journal knows of no failure:\n%s", out)
	}
	return nil
}

// noLease checks that no run holds the cluster.
func (f *Flow) noLease(ctx context.Context) error {
	return Eventually(ctx, 40*time.Second, func(ctx context.Context) error {
		for _, h := range f.Lab.Hosts { // a master that leaves holds one too
			if !h.Running() {
				continue
			}
			if _, err := h.Run(ctx, "! cat /run/gantry-apply.lease"); err != nil {
				return fmt.Errorf("a run lock is left: %w", err)
			}
		}
		return nil
	})
}

// catScript is in the place of cat, by which lines of the journal are read: the disk is
// full when a step has begun, and before it does anything.
const catScript = `#!/bin/sh
case $(tr '\0' ' ' </proc/$PPID/cmdline) in *' append-journal '*) ;; *) exec /usr/bin/cat "$@" ;; esac
lines=$(/usr/bin/cat)
case $lines in
*'"step":"%s","state":"%s"'*) printf '%%s\n' "$lines" >>/var/lib/gantry/bootstrap/journal.jsonl && /usr/local/sbin/fill ;;
*) printf '%%s\n' "$lines" ;;
esac
`

// fillWhen fills the disk of a host at the beginning of a step.
func fillWhen(ctx context.Context, h *lab.Host, full fullDisk) error {
	_, err := h.Run(ctx, fmt.Sprintf("cat >/usr/local/sbin/fill <<'E'\n#!/bin/sh\n%sE\ncat >/usr/local/sbin/cat <<'E'\n%sE\nchmod 0755 /usr/local/sbin/*",
		lab.FillScript(full.left), fmt.Sprintf(catScript, full.step, cmp.Or(full.state, "began"))))
	return err
}
