//go:build lab

package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// TestClock steps the clock of a worker five minutes forth and back, and lets it run
// too fast and too slowly. It needs a kernel of its own: the worker is a virtual machine.
func TestClock(t *testing.T) {
	servers := lab.Options{Name: "e2e-clock", Hosts: []string{"master-1"}, Virtual: []string{"worker-1"}}
	f := newFlowOn(t, "quickstart", servers, []string{"master-1"}, []string{"worker-1"})
	step := f.stepper(t)
	step("apply", f.Apply)
	step("an application comes up", func(ctx context.Context) error { return f.Cluster.Deploy(ctx, "worker-1") })
	server, err := f.Lab.Host("worker-1")
	if err != nil {
		t.Fatal(err)
	}
	before, err := f.Cluster.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, wrong := range wrongClocks {
		wrongClock(t, f, server, fmt.Sprintf("%d, %s", i+1, wrong.name), fmt.Sprintf("late-%d", i+1), wrong.command, before)
	}
	step("its processes start with a clock that is wrong", func(ctx context.Context) error {
		for _, by := range []string{setTick(10000) + " && date -s '+5 minutes'", "date -s '-10 minutes'"} {
			if _, err := server.Run(ctx, by+" && systemctl restart gantry-kubelet gantry-proxy gantry-dns"); err != nil {
				return err
			}
			if err := Eventually(ctx, 90*time.Second, func(ctx context.Context) error {
				if err := f.NodesReady(ctx); err != nil {
					return err
				}
				return f.Cluster.ServedByOwnNode(ctx, "worker-1")
			}); err != nil {
				return fmt.Errorf("after %s: %w", by, err)
			}
		}
		return nil
	})
	step("destroy leaves every server clean", f.Down)
}

// wrongClocks are what is done to a clock, one after another: it is ahead, then behind,
// then right; at last a tenth of the time is too much, or missing.
var wrongClocks = []struct{ name, command string }{
	{"five minutes forth", "date -s '+5 minutes'"},
	{"ten minutes back", "date -s '-10 minutes'"},
	{"five minutes forth again", "date -s '+5 minutes'"},
	{"a tenth too fast", setTick(11000)},
	{"a tenth too slow", setTick(9000)},
}

// setTick is a command that sets how many microseconds a clock gains with each of the
// hundred ticks of a second: adjtimex(2) with ADJ_TICK, on amd64.
func setTick(microseconds int) string {
	return fmt.Sprintf(`perl -e '$t = pack("Lx4q4lx4q5q", 0x4000, (0) x 4, 0, (0) x 5, %d); $t .= "\0" x (208 - length $t); syscall(159, $t) >= 0 or die "adjtimex: $!\n"'`, microseconds)
}

// wrongClock makes a host's clock wrong: nodes stay Ready for longer than one may be
// silent, their pods run on, a new one starts, and there is nothing to plan.
func wrongClock(t *testing.T, f *Flow, host *lab.Host, what, job, command string, before []Pod) {
	t.Helper()
	step := f.stepper(t)
	step(what+": the nodes stay Ready, and their pods run on", func(ctx context.Context) error {
		since, err := f.readySince(ctx)
		if err != nil {
			return err
		}
		if _, err := host.Run(ctx, command); err != nil {
			return err
		}
		same := soon(func(ctx context.Context) error {
			if err := f.NodesReady(ctx); err != nil {
				return err
			}
			after, err := f.Cluster.Pods(ctx)
			if err == nil && !slices.Equal(before, after) {
				err = fmt.Errorf("the pods were %+v and are %+v", before, after)
			}
			return err
		})
		for end := time.Now().Add(50 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Second) {
			if err := same(ctx); err != nil {
				return err
			}
		}
		now, err := f.readySince(ctx)
		if err == nil && now != since {
			err = fmt.Errorf("the nodes were Ready since %s, and now are since %s", since, now)
		}
		return err
	})
	step(what+": a new pod starts there, and is asked", func(ctx context.Context) error {
		if err := f.Cluster.Apply(ctx, fmt.Sprintf(lateJob, job)); err != nil {
			return err
		}
		if _, err := f.Cluster.Kubectl(ctx, "wait", "--for=condition=Complete", "job/"+job, "--timeout=180s"); err != nil {
			return err
		}
		return soon(func(ctx context.Context) error {
			if _, err := f.Cluster.Kubectl(ctx, "logs", "job/"+job); err != nil {
				return err
			}
			return f.Cluster.ServedByOwnNode(ctx, "worker-1")
		})(ctx)
	})
	step(what+": nothing is left to plan", f.Unchanged)
}

// readySince tells since when each node has been Ready.
func (f *Flow) readySince(ctx context.Context) (string, error) {
	return f.Cluster.Kubectl(ctx, "get", "nodes", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].lastTransitionTime}, {end}`)
}

// lateJob runs once, on the only worker.
const lateJob = `apiVersion: batch/v1
kind: Job
metadata:
  name: %s
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: once
        image: demo.gantry.run/hello:1
        imagePullPolicy: IfNotPresent
        args: [sleep, 1s]
`
