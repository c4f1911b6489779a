package podworker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/pod"
)

// prepareError is why a pod's containers cannot be started, with the event's reason.
type prepareError struct {
	reason string
	err    error
}

func (e prepareError) Error() string { return e.err.Error() }
func (e prepareError) Unwrap() error { return e.err }

func prepareReason(err error) string {
	var p prepareError
	if errors.As(err, &p) {
		return p.reason
	}
	return "FailedCreatePodSandBox"
}

// isPending says whether nothing failed: others have not done their part yet.
func isPending(err error) bool {
	var p interface{ Pending() bool }
	return errors.As(err, &p) && p.Pending()
}

// prepare makes the pod's cgroup, namespaces, address and volumes. What is there
// already is kept, so that a restart of the kubelet changes nothing. It says when the
// volumes are to be refreshed (zero: never).
func (w *worker) prepare(ctx context.Context, p *corev1.Pod) (refresh time.Time, err error) {
	if !sameMetadata(p, w.seen) {
		w.Volumes.Outdate(w.ref.UID)
	}
	w.seen = p
	if w.sandbox.ID == "" {
		if err := w.makeSandbox(ctx, p); err != nil {
			return time.Time{}, err
		}
	}
	next, err := w.Volumes.Refresh(ctx, p, w.fields(p), w.wake)
	if err != nil && ctx.Err() == nil {
		w.log.Warn("a pod's volumes are not brought up to date", "error", err)
	}
	return next, nil
}

// leaveSandbox ends what runs in a sandbox that does not work any more, and gives back the
// address, which leads there: with a new sandbox beside it the pod would be there twice.
// It says whether the pod has no such sandbox any more.
func (w *worker) leaveSandbox(ctx context.Context, p *corev1.Pod) (bool, error) {
	id := cmp.Or(w.sandbox.ID, w.runsIn())
	if id == "" || w.Sandboxes.Healthy(p, id) {
		return true, nil
	}
	if w.lost != id {
		w.lost = id
		w.Events.Event(p, corev1.EventTypeNormal, "SandboxChanged", plan.SandboxChanged)
	}
	if !w.stopAll(ctx, p, plan.Grace(p)) {
		return false, nil
	}
	if err := w.Network.Detach(ctx, w.ref.UID); err != nil {
		return false, err
	}
	if err := w.Sandboxes.Remove(w.ref.UID); err != nil {
		return false, err
	}
	w.sandbox = container.Sandbox{}
	return true, nil
}

func (w *worker) makeSandbox(ctx context.Context, p *corev1.Pod) error {
	if !p.Spec.HostNetwork {
		if err := w.Network.Ready(); err != nil {
			return prepareError{"NetworkNotReady", fmt.Errorf("network is not ready: %w", err)}
		}
	}
	if err := os.MkdirAll(w.Layout.Pod(w.ref.UID), 0o750); err != nil {
		return fmt.Errorf("make the pod's directory: %w", err)
	}
	handler, err := w.Handlers.Handler(ctx, p)
	if err != nil {
		return fmt.Errorf("failed to create pod sandbox: %w", err)
	}
	if why := w.Features.Of(handler).UserNamespaces; why != nil && !ptr.Deref(p.Spec.HostUsers, true) {
		return fmt.Errorf("failed to create pod sandbox: can't set `spec.hostUsers: false`, RuntimeClass handler %q does not support user namespaces: %w", handler, why)
	}
	if err := w.Claims.Prepare(ctx, p); err != nil {
		return prepareError{"FailedPrepareDynamicResources", fmt.Errorf("failed to prepare dynamic resources: %w", err)}
	}
	// Of a pod that runs the cgroup is there: its values follow with those of its containers.
	if len(w.running()) == 0 {
		if err := w.Cgroups.EnsurePod(p); err != nil {
			return err
		}
		w.resizer.cgroup = p
	}
	var sb container.Sandbox
	var ips addr.IPs
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if sb, err = w.Sandboxes.Ensure(p); err != nil || p.Spec.HostNetwork {
			return err
		}
		ips, err = w.Network.Attach(gctx, w.ref.UID, sb.Namespaces.Net, hostPorts(p))
		return err
	})
	g.Go(func() error {
		if err := w.Volumes.SetUp(gctx, p, w.fields(p), w.wake); err != nil {
			return prepareError{"FailedMount", err}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	w.ips = w.NodeIPs
	if len(ips) > 0 {
		w.ips = ips
	}
	if err := w.Files.Write(p, w.ips.Strings()); err != nil {
		return err
	}
	sb.Handler = handler
	for _, c := range w.all() {
		if round, ok := sb.RoundOf(c.Sandbox); ok {
			sb.Round = max(sb.Round, round)
		}
	}
	w.sandbox, w.released = sb, false
	if !p.Spec.HostNetwork {
		w.setNetwork(sb.Namespaces.Net)
	}
	return nil
}

func hostPorts(p *corev1.Pod) []container.HostPort {
	var out []container.HostPort
	for _, port := range pod.HostPorts(&p.Spec) {
		out = append(out, container.HostPort{
			Protocol: string(port.Protocol), HostIP: port.HostIP, HostPort: uint16(port.HostPort), ContainerPort: uint16(port.ContainerPort),
		})
	}
	return out
}

// fields is what the downward API knows of the pod's status.
func (w *worker) fields(p *corev1.Pod) *corev1.PodStatus {
	s := p.Status.DeepCopy()
	status.SetHostIPs(s, w.NodeIPs)
	status.SetPodIPs(s, w.ips)
	return s
}
