package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// assumptions are pods that are taken to be bound before the informer says so.
type assumptions map[types.UID]*assumption

type assumption struct {
	pod  *core.Pod
	node string
	// until is when the assumption ends; zero while the binding is under way.
	until time.Time
}

// place decides on one pod and, when a node is found, starts to bind it there. work
// outlives ctx while bindings drain.
func (w *worker) place(ctx, work context.Context, it *item, pod *core.Pod) {
	w.mu.Lock()
	placement, err := w.cluster.Schedule(pod, w.tie)
	if err == nil {
		w.cluster.Place(pod, placement.Node)
		w.assumed[pod.Obj.UID] = &assumption{pod: pod, node: placement.Node}
	}
	w.mu.Unlock()

	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return // nothing was written: the next leader decides anew
	}
	w.wg.Go(func() {
		defer func() { <-w.slots }()
		if err != nil {
			w.noPlace(work, it, pod, err)
			return
		}
		w.bind(work, it, pod, placement.Node)
	})
}

// bind writes the decision.
func (w *worker) bind(ctx context.Context, it *item, pod *core.Pod, node string) {
	o := pod.Obj
	err := w.client.CoreV1().Pods(o.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
	if err == nil {
		w.mu.Lock()
		if a := w.assumed[o.UID]; a != nil {
			a.until = w.clock.Now().Add(expiry)
		}
		w.mu.Unlock()
		w.queue.remove(o.UID)
		w.events.Eventf(o, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", o.Namespace, o.Name, node)
		return
	}
	w.forget(o.UID)
	w.queue.stir(nil)              // what was assumed taken is free
	if apierrors.IsNotFound(err) { // the pod is gone, or the node: events tell which
		w.log.Info("not bound: the pod or the node is gone", "pod", o.Namespace+"/"+o.Name, "node", node, "error", err)
	} else if ctx.Err() == nil {
		w.log.Warn("pod could not be bound, will retry", "pod", o.Namespace+"/"+o.Name, "node", node, "error", err)
		w.events.Eventf(o, corev1.EventTypeWarning, "FailedScheduling", "binding rejected: %v", err)
	}
	// If the pod was bound after all (the answer was lost), the informer removes it
	// from the queue.
	w.queue.giveBack(it, true)
}

// forget takes an assumed pod off its node, unless it was confirmed.
func (w *worker) forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.assumed[uid] != nil {
		delete(w.assumed, uid)
		w.cluster.Remove(uid)
	}
}

// expire ends assumptions about pods that are bound, as the API said, but that no
// informer has shown: they were deleted in between.
func (w *worker) expire() {
	w.mu.Lock()
	now := w.clock.Now()
	var ended []types.UID
	for uid, a := range w.assumed {
		if !a.until.IsZero() && now.After(a.until) {
			w.log.Warn("an assumed pod was never seen bound", "pod", a.pod.Obj.Namespace+"/"+a.pod.Obj.Name, "node", a.node)
			delete(w.assumed, uid)
			w.cluster.Remove(uid)
			ended = append(ended, uid)
		}
	}
	w.mu.Unlock()
	if len(ended) > 0 {
		w.queue.stir(nil)
	}
}

// noPlace says in the pod's status and an event why it is not placed.
func (w *worker) noPlace(ctx context.Context, it *item, pod *core.Pod, err error) {
	var why *core.Unschedulable
	own := errors.As(err, &why)
	w.queue.giveBack(it, !own)
	o := pod.Obj
	w.events.Event(o, corev1.EventTypeWarning, "FailedScheduling", err.Error())
	if err := w.writeCondition(ctx, o, err.Error()); err != nil && ctx.Err() == nil {
		w.log.Warn("cannot write why a pod is not placed", "pod", o.Namespace+"/"+o.Name, "error", err)
	}
}

// writeCondition sets PodScheduled=False unless it says the same already.
func (w *worker) writeCondition(ctx context.Context, o *corev1.Pod, message string) error {
	c := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message,
		LastTransitionTime: metav1.NewTime(w.clock.Now()),
	}
	for _, old := range o.Status.Conditions {
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status && old.Reason == c.Reason && old.Message == c.Message {
			return nil
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": o.UID},
		"status":   map[string]any{"conditions": []corev1.PodCondition{c}},
	})
	if err != nil {
		return err
	}
	_, err = w.client.CoreV1().Pods(o.Namespace).Patch(ctx, o.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("patch the status of pod %s/%s: %w", o.Namespace, o.Name, err)
	}
	return nil
}
