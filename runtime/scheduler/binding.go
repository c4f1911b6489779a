package scheduler

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// binding is the binding cycle of a pod that is assumed on its node.
type binding struct {
	*loop
	queued   *queuedPod
	decision *core.Decision
}

// start prepares and writes the binding in a slot. Whoever waits for volumes holds none:
// those may take as long as their provisioner does.
func (b *binding) start(ctx, bindings context.Context) {
	if !b.decision.Waits() {
		b.inSlot(ctx, func() {
			if b.prepare(bindings) {
				b.write(bindings)
			}
		})
		return
	}
	b.wg.Go(func() {
		if b.prepare(bindings) {
			b.inSlot(ctx, func() { b.write(bindings) })
		}
	})
}

// prepare says whether the pod can be bound now; when not, it is back in the queue.
func (b *binding) prepare(ctx context.Context) bool {
	status := b.decision.PreBind(ctx)
	if !status.IsSuccess() {
		b.failed(ctx, status)
	}
	return status.IsSuccess()
}

func (b *binding) write(ctx context.Context) {
	o, node := b.decision.Pod.Pod, b.decision.Node
	err := b.client.CoreV1().Pods(o.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
	if err != nil {
		b.failed(ctx, framework.AsStatus(err))
		return
	}
	b.cache.finishBinding(o.UID)
	b.queue.remove(o.UID)
	b.loop.events.Eventf(o, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", o.Namespace, o.Name, node)
}

// failed gives back what the pod holds and returns it to the queue. If it was bound
// after all (the answer was lost), the informer removes it from there.
func (b *binding) failed(ctx context.Context, status *framework.Status) {
	d := b.decision
	d.Unreserve(ctx)
	b.cache.forget(d.Pod.Pod.UID)
	b.moved(framework.AssignedPod, framework.Delete, d.Pod, nil)
	if status.IsRejected() {
		b.loop.failed(ctx, b.queued, d.Pod, &core.FitError{
			NumAllNodes: 1, Reasons: map[string]int{status.Message(): 1}, RejectedBy: []string{status.Plugin()}, Result: &core.PostFilterResult{},
		})
		return
	}
	o, err := d.Pod.Pod, status.AsError()
	if apierrors.IsNotFound(err) { // the pod is gone, or the node: events tell which
		b.log.Info("not bound: the pod or the node is gone", "pod", o.Namespace+"/"+o.Name, "node", d.Node, "error", err)
		b.queue.addBackoff(b.queued)
		return
	}
	warn(ctx, b.log, "pod could not be bound, will retry", o, err)
	b.loop.failed(ctx, b.queued, d.Pod, fmt.Errorf("binding rejected: %w", err))
}
