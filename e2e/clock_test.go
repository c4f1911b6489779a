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

// TestClock steps the clock of a worker five minutes forth and back, and back and forth.
// It needs a kernel of its own: the worker is a virtual machine.
func TestClock(t *testing.T) {
	masters, workers := []string{"master-1"}, []string{"worker-1"}
	f := newFlowOn(t, "quickstart", lab.Options{Name: "e2e-clock", Hosts: masters, Virtual: workers}, masters, workers)
	step := stepper(t)
	step("apply", f.Apply)
	step("an application comes up", func(ctx context.Context) error { return f.Cluster.Deploy(ctx, workers...) })
	worker, err := f.Lab.Host("worker-1")
	if err != nil {
		t.Fatal(err)
	}
	before, err := f.Cluster.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, by := range []string{"+5 minutes", "-5 minutes", "-5 minutes", "+5 minutes"} {
		steppedClock(t, f, worker, i+1, by, before)
	}
	step("its processes start with a clock that is wrong", func(ctx context.Context) error {
		for _, by := range []string{"+5 minutes", "-10 minutes"} {
			if _, err := worker.Run(ctx, "date -s '"+by+"' && systemctl restart gantry-kubelet gantry-proxy gantry-dns"); err != nil {
				return err
			}
			if err := Eventually(ctx, 40*time.Second, func(ctx context.Context) error {
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

// steppedClock steps a host's clock: nodes stay Ready for longer than one may be silent,
// their pods run on, a new one starts, and there is nothing to plan.
func steppedClock(t *testing.T, f *Flow, host *lab.Host, n int, by string, before []Pod) {
	t.Helper()
	step := stepper(t)
	step(fmt.Sprintf("step %d, %s: the nodes stay Ready, and their pods run on", n, by), func(ctx context.Context) error {
		if _, err := host.Run(ctx, "date -s '"+by+"'"); err != nil {
			return err
		}
		for end := time.Now().Add(50 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Second) {
			if err := f.NodesReady(ctx); err != nil {
				return err
			}
			after, err := f.Cluster.Pods(ctx)
			if err != nil {
				return err
			}
			if !slices.Equal(before, after) {
				return fmt.Errorf("the pods were %+v and are %+v", before, after)
			}
		}
		return nil
	})
	step(fmt.Sprintf("step %d: a new pod starts there, and is asked", n), func(ctx context.Context) error {
		name := fmt.Sprintf("late-%d", n)
		if err := f.Cluster.Apply(ctx, fmt.Sprintf(lateJob, name)); err != nil {
			return err
		}
		if _, err := f.Cluster.Kubectl(ctx, "wait", "--for=condition=Complete", "job/"+name, "--timeout=60s"); err != nil {
			return err
		}
		if _, err := f.Cluster.Kubectl(ctx, "logs", "job/"+name); err != nil {
			return err
		}
		return f.Cluster.ServedByOwnNode(ctx, "worker-1")
	})
	step(fmt.Sprintf("step %d: nothing is left to plan", n), f.Unchanged)
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
