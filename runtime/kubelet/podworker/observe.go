package podworker

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/pod"
)

// observe takes up a container or its end.
func (w *worker) observe(c container.Container) {
	if dropped := w.put(&c); dropped != nil {
		w.discarded = append(w.discarded, dropped)
	}
	if c.State != container.StateExited {
		return
	}
	w.Prober.Remove(c.ID)
	w.kills.ended(c.ID)
}

// observeEnded takes up what ended.
func (w *worker) observeEnded() {
	for _, c := range w.takeEnded() {
		w.observe(c)
	}
	w.publish(w.running())
}

func (w *worker) view(p *corev1.Pod) plan.View {
	v := plan.View{
		Pod: p, Sandbox: w.sandbox.Incarnation(), Restarting: w.restarting, Containers: w.newest, Previous: w.previous, Failures: w.failures,
		Health: map[string]container.Health{}, Now: time.Now(), Deadline: w.deadline(p),
	}
	for _, c := range w.newest {
		h, ok := w.Prober.Health(c.ID)
		if w.sandbox.ID == "" && c.State == container.StateRunning {
			// Not taken over yet: it runs in the sandbox that is to be found again, and what
			// was known of it holds.
			v.Sandbox = c.Sandbox
			if spec, _ := pod.FindContainer(&p.Spec, c.Name); spec != nil && !ok {
				h, ok = container.KnownHealth(p, spec, *c), true
			}
		}
		if ok {
			v.Health[c.ID] = h
		}
	}
	return v
}

// report writes the pod's status, and says when to try again if it could not be written.
func (w *worker) report(ctx context.Context, p *corev1.Pod) (next time.Time) {
	err := w.Status.Write(ctx, p, status.Compute(w.view(p), status.Facts{
		HostIPs: w.NodeIPs, PodIPs: w.ips, StartTime: w.startTime, SandboxReady: w.sandbox.ID != "" || len(w.running()) > 0, Failed: w.failed, Terminated: w.terminated,
		RecursiveReadOnly: w.Features.Of(w.sandbox.Handler).RecursiveReadOnly, Cgroup: w.resizer.cgroup, Resizes: w.resizer.conditions(),
		Devices: w.Devices.Health(w.ref.UID),
	}))
	if err == nil || ctx.Err() != nil {
		return time.Time{}
	}
	w.log.Warn("a pod's status is not written yet", "error", err)
	return time.Now().Add(retryDelay)
}

// recordBackoff records once per container that its successor has to wait.
func (w *worker) recordBackoff(p *corev1.Pod, ended *container.Container) {
	if w.backingOff[ended.Name] == ended.ID {
		return
	}
	w.backingOff[ended.Name] = ended.ID
	w.Events.Event(p, corev1.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)",
		ended.Name, w.ref.Name, w.ref.Namespace, w.ref.UID))
}
