//go:build lab

package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// volumesFollow changes what a running pod's volumes are made of.
func volumesFollow(ctx context.Context, p *pods) error {
	err := p.apply(ctx, `
apiVersion: v1
kind: ConfigMap
metadata: {name: changing, namespace: pods}
data: {value: first}
---
apiVersion: v1
kind: Pod
metadata: {name: follows, namespace: pods, annotations: {note: first}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: IMAGE, args: [sleep], volumeMounts: [{name: v, mountPath: /v}]}
  volumes:
  - name: v
    projected: {sources: [{configMap: {name: changing}}, {downwardAPI: {items: [{path: note, fieldRef: {fieldPath: "metadata.annotations['note']"}}]}}]}
`)
	if err != nil {
		return err
	}
	if err := p.until(ctx, "follows", podReady); err != nil {
		return err
	}
	if _, err := p.kubectl(ctx, "patch", "configmap", "changing", "-p", `{"data":{"value":"second"}}`); err != nil {
		return err
	}
	if _, err := p.kubectl(ctx, "annotate", "pod", "follows", "note=second", "--overwrite"); err != nil {
		return err
	}
	return Eventually(ctx, 20*time.Second, func(ctx context.Context) error {
		out, err := p.kubectl(ctx, "exec", "follows", "--", "/hello", "cat", "/v/value", "/v/note")
		if err == nil && out != "secondsecond" {
			err = fmt.Errorf("the volume holds %q", out)
		}
		return err
	})
}

func configMapComes(ctx context.Context, p *pods) error {
	err := p.apply(ctx, `
apiVersion: v1
kind: Pod
metadata: {name: waits, namespace: pods}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: IMAGE, args: [env], envFrom: [{configMapRef: {name: later}}]}
`)
	if err != nil {
		return err
	}
	err = p.until(ctx, "waits", func(pod *corev1.Pod) bool {
		s := pod.Status.ContainerStatuses
		return len(s) == 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "CreateContainerConfigError" &&
			strings.Contains(s[0].State.Waiting.Message, `configmap "later" not found`)
	})
	if err != nil {
		return err
	}
	if _, err := p.kubectl(ctx, "create", "configmap", "later", "--from-literal=LATE=yes"); err != nil {
		return err
	}
	return p.until(ctx, "waits", func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded })
}

func livenessRestarts(ctx context.Context, p *pods) error {
	err := p.until(ctx, "probes", podReady)
	if err != nil {
		return err
	}
	if _, err := p.kubectl(ctx, "exec", "probes", "--", "/hello", "get", "http://localhost:8080/break"); err != nil {
		return err
	}
	err = p.until(ctx, "probes", func(pod *corev1.Pod) bool {
		s := pod.Status.ContainerStatuses[0]
		return s.RestartCount == 1 && s.Ready
	})
	if err != nil {
		return err
	}
	return Eventually(ctx, 20*time.Second, func(ctx context.Context) error {
		return p.checkEvents(ctx, "probes", []string{"Unhealthy:Liveness probe failed: HTTP probe failed with statuscode: 500", "Killing:Container web failed liveness probe, will be restarted"})
	})
}

// cgroups compares requests and limits with what the kernel holds.
func cgroups(ctx context.Context, p *pods) error {
	err := p.apply(ctx, `
apiVersion: v1
kind: Pod
metadata: {name: limited, namespace: pods}
spec:
  nodeName: worker-1
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: IMAGE, args: [sleep], resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 500m, memory: 64Mi}}}
`)
	if err != nil {
		return err
	}
	if err := p.until(ctx, "limited", podReady); err != nil {
		return err
	}
	pod, err := p.get(ctx, "limited")
	if err != nil {
		return err
	}
	id := strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "containerd://")
	below := config.CgroupRoot + "/burstable/pod" + string(pod.UID)
	h, err := p.Lab.Host("worker-1")
	if err != nil {
		return err
	}
	v1 := fmt.Sprintf("cd /sys/fs/cgroup && for d in %[1]s %[1]s/%[2]s; do cat memory/$d/memory.limit_in_bytes cpu/$d/cpu.shares cpu/$d/cpu.cfs_quota_us; done", below, id)
	v2 := fmt.Sprintf("cd /sys/fs/cgroup && for d in %[1]s %[1]s/%[2]s; do cat .$d/memory.max .$d/cpu.weight; cut -d' ' -f1 .$d/cpu.max; done", below, id)
	out, err := h.Run(ctx, "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then "+v2+"; else "+v1+"; fi")
	if err != nil {
		return err
	}
	got := strings.Join(strings.Fields(string(out)), " ")
	if got != "67108864 102 50000 67108864 102 50000" && got != "67108864 17 50000 67108864 17 50000" {
		return fmt.Errorf("the cgroups hold %s", got)
	}
	return nil
}

// nodePods are one pod on each worker, for the network and for restarts.
func (p *pods) nodePods(ctx context.Context) error {
	var all strings.Builder
	for _, n := range p.Workers {
		fmt.Fprintf(&all, `---
apiVersion: v1
kind: Pod
metadata: {name: at-%[1]s, namespace: pods}
spec:
  nodeName: %[1]s
  terminationGracePeriodSeconds: 1
  volumes: [{name: kept, emptyDir: {}}, {name: lost, emptyDir: {medium: Memory}}]
  containers:
  - {name: c, image: IMAGE, args: [serve], readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, timeoutSeconds: 5},
     volumeMounts: [{name: kept, mountPath: /kept}, {name: lost, mountPath: /lost}]}
`, n)
	}
	if err := p.apply(ctx, all.String()); err != nil {
		return err
	}
	for _, n := range p.Workers {
		if err := p.until(ctx, "at-"+n, podReady); err != nil {
			return err
		}
	}
	return nil
}

// restarts kills and restarts the processes under running pods.
func restarts(ctx context.Context, p *pods) error {
	if err := p.nodePods(ctx); err != nil {
		return err
	}
	before, err := p.api.CoreV1().Pods(podsNamespace).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=worker-1"})
	if err != nil {
		return err
	}
	h, err := p.Lab.Host("worker-1")
	if err != nil {
		return err
	}
	for _, action := range []string{
		"systemctl kill -s KILL --kill-whom=main gantry-containerd", "systemctl kill -s KILL --kill-whom=main gantry-kubelet",
		"systemctl restart gantry-containerd gantry-kubelet",
	} {
		start := time.Now()
		if _, err := h.Run(ctx, action); err != nil {
			return err
		}
		err := Eventually(ctx, p.patience*20*time.Second, func(ctx context.Context) error {
			out, err := p.kubectl(ctx, "exec", "at-worker-1", "--", "/hello", "echo")
			if err != nil {
				return fmt.Errorf("%w%s", err, out)
			}
			return p.NodesReady(ctx)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", action, err)
		}
		for _, old := range before.Items {
			if !podReady(&old) {
				continue // others change by themselves
			}
			err := answered(func(ctx context.Context) error {
				now, err := p.get(ctx, old.Name)
				if err == nil && (podReady(now) != podReady(&old) || now.Status.PodIP != old.Status.PodIP || brief(now) != brief(&old)) {
					err = wrongAnswer{fmt.Errorf("%s changed pod %s %s after:\nbefore %s\nafter  %s", action, old.Name, time.Since(start), brief(&old), brief(now))}
				}
				return err
			})(ctx)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// powerCut takes a worker's power. Its pods must come back by themselves, with
// their disks and without their memory, and nothing of their former lives be left.
func powerCut(ctx context.Context, p *pods) error {
	if err := p.nodePods(ctx); err != nil {
		return err
	}
	worker := p.Workers[len(p.Workers)-1]
	pod := "at-" + worker
	for _, dir := range []string{"/kept", "/lost"} {
		if _, err := p.kubectl(ctx, "exec", pod, "--", "/hello", "write", dir+"/f", "x"); err != nil {
			return err
		}
	}
	h, err := p.Lab.Host(worker)
	if err != nil {
		return err
	}
	// What the pod itself did not sync may be lost, and here is not what is tested.
	if _, err := h.Run(ctx, "sync"); err != nil {
		return err
	}
	if err := h.PowerCut(ctx); err != nil {
		return err
	}
	if err := h.Boot(ctx); err != nil {
		return err
	}
	err = p.until(ctx, pod, func(now *corev1.Pod) bool {
		s := now.Status.ContainerStatuses
		return podReady(now) && len(s) == 1 && s[0].RestartCount == 1 && s[0].LastTerminationState.Terminated != nil
	})
	if err != nil {
		return err
	}
	err = soon(func(ctx context.Context) error {
		if out, err := p.kubectl(ctx, "exec", pod, "--", "/hello", "cat", "/kept/f"); err != nil || out != "x\n" {
			return fmt.Errorf("the disk of the pod holds %q, %v", out, err)
		}
		return nil
	})(ctx)
	if err != nil {
		return err
	}
	if out, err := p.kubectl(ctx, "exec", pod, "--", "/hello", "cat", "/lost/f"); err == nil {
		return fmt.Errorf("what was in memory is still there: %q", out)
	}
	if out, err := p.kubectl(ctx, "exec", pod, "--", "/hello", "cat", "/proc/mounts"); err != nil || !strings.Contains(out, "tmpfs /lost tmpfs") {
		return fmt.Errorf("the volume in memory is %q, %v", out, err)
	}
	return acrossNodes(ctx, p)
}
