package podworker

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containerspec"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
	"github.com/gantry-run/gantry/runtime/pod"
)

// startContainer starts the next incarnation of a container, or records why it cannot.
// It says whether something started. ctx is done as soon as the pod is to go; life is
// the worker's own.
func (w *worker) startContainer(ctx, life context.Context, p *corev1.Pod, a plan.Start) bool {
	name := a.Container.Name
	defer func() {
		if err := w.Specs.Release(p, name); err != nil { // again with the pod at the latest
			w.log.Warn("the volume mounts of a container's start are not released", "container", name, "error", err)
		}
	}()
	img, err := w.Images.EnsureImage(ctx, p, a.Container, func() {
		w.report(life, p) // a pull takes time: say that the pod is being created
	})
	if err != nil {
		if ctx.Err() == nil {
			w.failures.image(name, err)
		}
		return false
	}
	spec, err := w.Specs.Generate(ctx, containerspec.Incarnation{
		Pod: p, Status: w.fields(p), Container: a.Container, Image: img, Sandbox: w.sandbox, Restarts: a.Restarts, Backoff: a.Backoff,
	})
	if err != nil {
		if ctx.Err() == nil {
			w.failures.record(name, "CreateContainerConfigError", err, configErrorDelay)
			w.Events.Event(p, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
		}
		return false
	}
	select {
	case w.starting <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	c, err := w.Runtime.Start(ctx, spec)
	<-w.starting
	if err != nil {
		if ctx.Err() == nil && w.failures.start(name, err) {
			w.Events.Event(p, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
		}
		return false
	}
	delete(w.failures, name)
	w.observe(c)
	w.publish(w.running())
	w.removeOld(life, w.log, w.discarded)
	w.discarded = nil
	w.Events.Event(p, corev1.EventTypeNormal, "Created", "Created container: "+name)
	w.Events.Event(p, corev1.EventTypeNormal, "Started", "Started container "+name)
	w.postStart(ctx, life, p, a.Container, &c)
	return true
}

// postStart runs the container's hook; one whose hook fails is killed.
func (w *worker) postStart(ctx, life context.Context, p *corev1.Pod, spec *corev1.Container, c *container.Container) {
	if spec.Lifecycle == nil || spec.Lifecycle.PostStart == nil {
		return
	}
	err := w.Hooks.Run(ctx, spec.Lifecycle.PostStart, probe.Target{ID: c.ID, IP: primary(w.ips), Container: spec})
	if err != nil && ctx.Err() == nil {
		w.Events.Event(p, corev1.EventTypeWarning, "FailedPostStartHook", err.Error())
		w.kills.kill(life, p, c, primary(w.ips), plan.Grace(p), "FailedPostStartHook")
	}
}

// resize gives a running container's cgroup the values of its spec.
func (w *worker) resize(ctx context.Context, p *corev1.Pod, r plan.Resize) bool {
	hash := container.ResourcesHash(r.Spec)
	err := w.Cgroups.EnsurePod(p)
	if err == nil {
		err = w.Runtime.UpdateResources(ctx, r.Container.ID, w.Cgroups.Container(p, r.Spec, r.Container.ID), hash)
	}
	if err != nil {
		w.log.Warn("a container is not resized yet", "container", r.Container.Name, "error", err)
		return false
	}
	r.Container.ResourcesHash = hash
	return true
}

// superviseProbes probes the containers that run.
func (w *worker) superviseProbes(ctx context.Context, p *corev1.Pod) {
	for name, c := range w.newest {
		spec, _ := pod.FindContainer(&p.Spec, name)
		if spec != nil && c.State == container.StateRunning && !w.kills.has(c.ID) {
			w.Prober.Add(ctx, p, spec, *c, primary(w.ips), w.wake)
		}
	}
}
