//go:build lab

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const jobObjects = `
apiVersion: batch/v1
kind: Job
metadata: {name: three, namespace: w}
spec:
  completions: 3
  parallelism: 2
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE, args: [sleep, 1s]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: indexed, namespace: w}
spec:
  completions: 4
  parallelism: 4
  completionMode: Indexed
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE, args: [env]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: fails, namespace: w}
spec:
  backoffLimit: 1
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE, args: [exit, "1", no luck]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: hopeless, namespace: w}
spec:
  podFailurePolicy:
    rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE, args: [exit, "42"]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: short, namespace: w}
spec:
  ttlSecondsAfterFinished: 1
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE, args: [id]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: held, namespace: w}
spec:
  suspend: true
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE, args: [id]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: late, namespace: w}
spec:
  activeDeadlineSeconds: 3
  podReplacementPolicy: Failed
  template:
    spec: {restartPolicy: OnFailure, terminationGracePeriodSeconds: 1, containers: [{name: c, image: IMAGE, args: [sleep, -stubborn, 1h]}]}
`

// jobs checks what becomes of each of several jobs.
func (w workloads) jobs(ctx context.Context) error {
	if err := w.apply(ctx, jobObjects); err != nil {
		return err
	}
	if err := w.run(ctx,
		"wait --for=condition=suspended job/held --timeout=60s",
		"wait --for=condition=complete job/three job/indexed --timeout=120s",
		"wait --for=delete job/short --timeout=120s"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "pods -l batch.kubernetes.io/job-name=held", "{.metadata.name}"); err != nil {
		return fmt.Errorf("suspended: %w", err)
	}
	if _, err := w.kubectl(ctx, "patch", "job", "held", "-p", `{"spec":{"suspend":false}}`); err != nil {
		return err
	}
	if err := w.run(ctx, "wait --for=condition=failed job/fails job/hopeless job/late --timeout=120s", "wait --for=condition=complete job/held --timeout=120s"); err != nil {
		return err
	}
	for name, want := range map[string]string{
		"three":    "3// SuccessCriteriaMet Complete/CompletionsReached",
		"indexed":  "4//0-3 SuccessCriteriaMet Complete/CompletionsReached",
		"fails":    "/2/ FailureTarget Failed/BackoffLimitExceeded",
		"hopeless": "/1/ FailureTarget Failed/PodFailurePolicy",
		"held":     "1// SuccessCriteriaMet Complete/CompletionsReached",
		"late":     "/1/ FailureTarget Failed/DeadlineExceeded",
	} {
		err := soon(func(ctx context.Context) error {
			out, err := w.kubectl(ctx, "get", "job", name, "-o", "jsonpath={.status.succeeded}/{.status.failed}/{.status.completedIndexes} {.status.active}"+
				`{.status.conditions[?(@.type!="Suspended")].type}/{.status.conditions[-1].reason}`)
			if err != nil || out != want {
				return fmt.Errorf("job %s is %q (%v), want %q", name, out, err, want)
			}
			return nil
		})(ctx)
		if err != nil {
			return err
		}
	}
	out, err := w.kubectl(ctx, "logs", "-l", "batch.kubernetes.io/job-name=indexed", "--tail=-1")
	if err != nil {
		return err
	}
	for i := range 4 {
		for _, line := range []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d\n", i), fmt.Sprintf("HOSTNAME=indexed-%d\n", i)} {
			if !strings.Contains(out, line) {
				return fmt.Errorf("no pod of the indexed job printed %q:\n%s", line, out)
			}
		}
	}
	// Once a pod is counted, nothing holds it.
	return w.become(ctx, 10*time.Second, "pods -l batch.kubernetes.io/job-name", "{.metadata.finalizers}")
}

const endlessJob = `
apiVersion: batch/v1
kind: Job
metadata: {name: endless, namespace: w}
spec:
  parallelism: 2
  template:
    metadata: {labels: {app: endless}}
    spec: {restartPolicy: Never, terminationGracePeriodSeconds: 1, containers: [{name: c, image: IMAGE, args: [sleep, 1h]}]}
`

// deletedJob deletes a job that runs: its pods go, though none was counted.
func (w workloads) deletedJob(ctx context.Context) error {
	if err := w.apply(ctx, endlessJob); err != nil {
		return err
	}
	if err := w.become(ctx, 40*time.Second, "pods -l app=endless", "{.status.phase}", "Running", "Running"); err != nil {
		return err
	}
	if err := w.run(ctx, "delete job endless"); err != nil {
		return err
	}
	return w.become(ctx, 20*time.Second, "pods -l app=endless", "{.metadata.name}")
}

const statefulSetObjects = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: w}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: w}
spec:
  serviceName: web
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: c, image: IMAGE, args: [serve], env: [{name: VERSION, value: "1"}], readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, timeoutSeconds: 5, initialDelaySeconds: 1}}
`

func (w workloads) statefulSet(ctx context.Context) error {
	three := []string{"web-0", "web-1", "web-2"}
	if err := w.apply(ctx, statefulSetObjects); err != nil {
		return err
	}
	if err := w.run(ctx, "rollout status sts/web --timeout=180s"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "pods -l app=web", "{.metadata.name}", three...); err != nil {
		return err
	}
	if err := w.startedInOrder(ctx, three); err != nil {
		return err
	}
	if err := w.run(ctx, "scale sts/web --replicas=1"); err != nil {
		return err
	}
	if err := w.become(ctx, 30*time.Second, "pods -l app=web", "{.metadata.name}", "web-0"); err != nil {
		return err
	}
	if err := w.run(ctx, "scale sts/web --replicas=3", "rollout status sts/web --timeout=180s"); err != nil {
		return err
	}
	for _, name := range three {
		if err := w.named(ctx, name); err != nil {
			return err
		}
	}
	if err := w.run(ctx, "set env sts/web VERSION=2", "rollout status sts/web --timeout=180s"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "pods -l app=web", "{.metadata.name}="+version, "web-0=2", "web-1=2", "web-2=2"); err != nil {
		return err
	}
	if err := w.startedInOrder(ctx, []string{"web-2", "web-1", "web-0"}); err != nil {
		return err
	}
	// Behind the partition nothing is updated, also what starts anew.
	if _, err := w.kubectl(ctx, "patch", "sts", "web", "-p", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}`); err != nil {
		return err
	}
	if err := w.run(ctx, "set env sts/web VERSION=3", "rollout status sts/web --timeout=180s", "delete pod web-0"); err != nil {
		return err
	}
	return w.become(ctx, 30*time.Second, "pods -l app=web", "{.metadata.name}="+version+"{.status.containerStatuses[0].ready}", "web-0=2true", "web-1=2true", "web-2=3true")
}

// startedInOrder checks that each pod was made after the one before it had become
// ready, which takes a second.
func (w workloads) startedInOrder(ctx context.Context, names []string) error {
	var times []string
	for _, name := range names {
		at, err := w.kubectl(ctx, "get", "pod", name, "-o", "jsonpath={.metadata.creationTimestamp}")
		if err != nil {
			return err
		}
		times = append(times, at)
	}
	if !slices.IsSorted(times) || len(slices.Compact(slices.Clone(times))) != len(times) {
		return fmt.Errorf("%v were made at %v, want one after another", names, times)
	}
	return nil
}

// named asks for a pod's own DNS name from another pod of its set.
func (w workloads) named(ctx context.Context, pod string) error {
	ip, err := w.kubectl(ctx, "get", "pod", pod, "-o", "jsonpath={.status.podIP}")
	if err != nil {
		return err
	}
	name := pod + ".web.w.svc.cluster.local"
	return Eventually(ctx, 15*time.Second, func(ctx context.Context) error {
		out, err := w.kubectl(ctx, "exec", "web-0", "--", "/hello", "lookup", name)
		if err == nil && strings.TrimSpace(out) != fmt.Sprintf("%s [%s]", name, ip) {
			err = fmt.Errorf("%s is %q, want %s", name, out, ip)
		}
		return err
	})
}

const claimObjects = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: w}
spec:
  serviceName: store
  replicas: 2
  podManagementPolicy: Parallel
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  selector: {matchLabels: {app: store}}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
  template:
    metadata: {labels: {app: store}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: IMAGE, args: [serve], volumeMounts: [{name: data, mountPath: /data}]}]
`

// claims are made for each pod, outlive a smaller set, and go with the set.
func (w workloads) claims(ctx context.Context) error {
	if err := w.apply(ctx, claimObjects); err != nil {
		return err
	}
	both := []string{"data-store-0", "data-store-1"}
	if err := w.become(ctx, 20*time.Second, "pods -l app=store", "{.spec.volumes[0].persistentVolumeClaim.claimName}", both...); err != nil {
		return err
	}
	if err := w.run(ctx, "scale sts/store --replicas=1"); err != nil {
		return err
	}
	if err := w.become(ctx, 20*time.Second, "pods -l app=store", "{.metadata.name}", "store-0"); err != nil {
		return err
	}
	if err := w.become(ctx, 10*time.Second, "pvc -l app=store", "{.metadata.name}", both...); err != nil {
		return err
	}
	if err := w.run(ctx, "delete sts store"); err != nil {
		return err
	}
	return w.become(ctx, 20*time.Second, "pvc -l app=store", "{.metadata.name}")
}
