//go:build lab

package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWorkloads runs every kind of workload on one cluster, by kubectl, at the
// same time, and meanwhile the pool grows.
func TestWorkloads(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-workloads", []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	if err := f.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Cluster.ImportImage(t.Context(), f.Workers...); err != nil {
		t.Fatal(err)
	}
	w := workloads{f}
	if err := w.apply(t.Context(), workloadsNamespace+cronJobObjects); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			w.show(t)
		}
	})
	t.Run("kinds", func(t *testing.T) {
		for _, s := range []struct {
			name string
			do   func(context.Context) error
		}{{"DaemonSet", w.daemonSet}, {"Job", w.jobs}, {"Job that is deleted", w.deletedJob}, {"StatefulSet", w.statefulSet}, {"claims", w.claims}, {"CronJob", w.cronJob}, {"HorizontalPodAutoscaler", w.autoscale}} {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				start := time.Now()
				if err := s.do(testContext(t)); err != nil {
					f.failures.add(s.name, err)
					t.Error(err)
				}
				t.Logf("%.1f s", time.Since(start).Seconds())
			})
		}
	})
	if !t.Failed() {
		step := f.stepper(t)
		step("a server leaves, and its daemon pod holds nobody up", w.shrink)
		step("no budget keeps the cluster from being destroyed", w.lastPool)
	}
}

// lastPool destroys the cluster under pods whose budget allows no eviction.
func (w workloads) lastPool(ctx context.Context) error {
	err := w.apply(ctx, `apiVersion: apps/v1
kind: Deployment
metadata: {name: kept, namespace: w}
spec:
  replicas: 2
  selector: {matchLabels: {app: kept}}
  template:
    metadata: {labels: {app: kept}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: IMAGE, args: [sleep]}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: kept, namespace: w}
spec: {minAvailable: 2, selector: {matchLabels: {app: kept}}}
`)
	if err != nil {
		return err
	}
	if err := w.become(ctx, 30*time.Second, "pdb", "{.status.currentHealthy}/{.status.disruptionsAllowed}", "2/0"); err != nil {
		return err
	}
	out, err := w.Workspace.Terraform(ctx, "destroy", "-auto-approve", "-input=false", "-no-color")
	if err != nil {
		return err
	}
	if err := says(out, "No other node is left for these pods: they end"); err != nil {
		return err
	}
	return w.Clean(ctx)
}

const workloadsNamespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: w}\n"

// workloads are the stories of this test; all is in the namespace w.
type workloads struct{ *Flow }

// apply applies a manifest and prints nothing: the stories are told at once.
func (w workloads) apply(ctx context.Context, manifest string) error {
	file := filepath.Join(w.Workspace.Dir, fmt.Sprintf("manifest-%x.yaml", sha256.Sum256([]byte(manifest))))
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(manifest, "IMAGE", AppImage)), 0o600); err != nil {
		return err
	}
	return soon(func(ctx context.Context) error {
		_, err := w.Cluster.Kubectl(ctx, "apply", "-f", file)
		return err
	})(ctx)
}

func (w workloads) kubectl(ctx context.Context, args ...string) (string, error) {
	return w.Cluster.Kubectl(ctx, append([]string{"-n", "w"}, args...)...)
}

// run runs several kubectl commands, each a line of words.
func (w workloads) run(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		if out, err := w.kubectl(ctx, strings.Fields(line)...); err != nil {
			return fmt.Errorf("kubectl %s: %w\n%s", line, err, out)
		}
	}
	return nil
}

// values are what a JSON path gives for each object, sorted.
func (w workloads) values(ctx context.Context, what, path string) ([]string, error) {
	args := append([]string{"get"}, strings.Fields(what)...)
	out, err := w.kubectl(ctx, append(args, "-o", "jsonpath={range .items[*]}"+path+"{\"\\n\"}{end}")...)
	list := strings.Fields(out)
	slices.Sort(list)
	return list, err
}

// become waits until a JSON path gives the wanted values.
func (w workloads) become(ctx context.Context, limit time.Duration, what, path string, want ...string) error {
	err := Eventually(ctx, limit, func(ctx context.Context) error {
		got, err := w.values(ctx, what, path)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("are %q, want %q", got, want)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s of %s: %w", path, what, err)
	}
	return nil
}

// show prints what there is, for whoever looks for the cause of a failure.
func (w workloads) show(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, args := range [][]string{{"get", "all,pvc,controllerrevisions", "-o", "wide"}, {"get", "events", "--sort-by=.lastTimestamp"}, {"get", "jobs,sts,ds,cj", "-o", "jsonpath={range .items[*]}{.metadata.name}: {.status}{\"\\n\"}{end}"}} {
		out, err := w.kubectl(ctx, args...)
		t.Logf("%v\n%s\n%v", args, out, err)
	}
}

const daemonSetObjects = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: w}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: c, image: IMAGE, args: [serve], env: [{name: VERSION, value: "1"}], readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, timeoutSeconds: 5}}
`

// version is the environment by which the pods of two templates differ.
const version = "{.spec.containers[0].env[0].value}"

func (w workloads) daemonSet(ctx context.Context) error {
	if err := w.apply(ctx, daemonSetObjects); err != nil {
		return err
	}
	if err := w.run(ctx, "rollout status ds/agent --timeout=120s"); err != nil {
		return err
	}
	// Not on the master, whose taint they do not tolerate.
	if err := w.become(ctx, 10*time.Second, "pods -l app=agent", "{.spec.nodeName}", w.Workers...); err != nil {
		return err
	}
	if err := w.run(ctx, "set env ds/agent VERSION=2", "rollout status ds/agent --timeout=120s"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "pods -l app=agent", version, "2", "2"); err != nil {
		return err
	}
	if err := w.run(ctx, "rollout undo ds/agent", "rollout status ds/agent --timeout=120s"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "pods -l app=agent", version, "1", "1"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "controllerrevisions -l app=agent", "{.revision}", "2", "3"); err != nil {
		return err
	}
	// A cordoned node keeps its agent, also one that is new.
	if err := w.run(ctx, "cordon worker-2", "delete pod -l app=agent --field-selector spec.nodeName=worker-2", "rollout status ds/agent --timeout=120s"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "pods -l app=agent", "{.spec.nodeName}", w.Workers...); err != nil {
		return err
	}
	if err := w.run(ctx, "uncordon worker-2"); err != nil {
		return err
	}
	return w.grow(ctx)
}

// grow adds a server to the pool in HCL: its node has the agent as soon as its
// image is there.
func (w workloads) grow(ctx context.Context) error {
	if err := w.Grow(ctx, "worker-3"); err != nil {
		return err
	}
	if err := w.Cluster.ImportImage(ctx, "worker-3"); err != nil {
		return err
	}
	if err := w.become(ctx, 20*time.Second, "pods -l app=agent", "{.spec.nodeName}", w.Workers...); err != nil {
		return err
	}
	return w.run(ctx, "rollout status ds/agent --timeout=120s")
}

// shrink takes the server out again: the drain passes over what belongs to every
// node, the others' pods go elsewhere.
func (w workloads) shrink(ctx context.Context) error {
	if err := w.changePool(ctx, w.Workers[:len(w.Workers)-1], "worker-3"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "ds", "{.status.desiredNumberScheduled}/{.status.numberAvailable}", "2/2"); err != nil {
		return err
	}
	return w.become(ctx, 30*time.Second, "sts", "{.metadata.name}={.status.availableReplicas}", "web=3")
}

const cronJobObjects = `---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick, namespace: w}
spec:
  schedule: "* * * * *"
  timeZone: Asia/Tokyo
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE, args: [id]}]}
`

func (w workloads) cronJob(ctx context.Context) error {
	if err := w.run(ctx, "create job --from=cronjob/tick by-hand", "wait --for=condition=complete job/by-hand --timeout=120s"); err != nil {
		return err
	}
	err := Eventually(ctx, 150*time.Second, func(ctx context.Context) error {
		out, err := w.kubectl(ctx, "get", "cronjob", "tick", "-o", "jsonpath={.status.lastScheduleTime} {.status.lastSuccessfulTime} {.status.active}")
		if err == nil && len(strings.Fields(out)) != 2 {
			err = fmt.Errorf("status is %q, want a schedule, a success, and none active", out)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the schedule: %w", err)
	}
	out, err := w.kubectl(ctx, "get", "jobs", "-o", `jsonpath={.items[?(@.metadata.ownerReferences[0].name=="tick")].metadata.annotations.batch\.kubernetes\.io/cronjob-scheduled-timestamp}`)
	if err != nil || !strings.Contains(out, ":00+09:00") {
		return fmt.Errorf("its job was scheduled at %q (%v), want a whole minute in Tokyo", out, err)
	}
	return nil
}
