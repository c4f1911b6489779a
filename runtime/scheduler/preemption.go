package scheduler

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/pod"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// maxEvictions bounds the victims of one pod that are let go at once.
const maxEvictions = 16

// evictor lets the victims of preemptions go.
type evictor struct {
	client  kubernetes.Interface
	status  podStatus
	events  record.EventRecorder
	waiting *waitingPods
	log     *slog.Logger
}

// preempt lets a pod's victims go. The pod is in flight meanwhile, so that it is not decided
// on again before the last of them is told, and misses no event of that.
func (e *evictor) preempt(ctx context.Context, p *core.PodInfo, r *core.PostFilterResult) error {
	for _, other := range r.Displaced {
		if err := e.status.patch(ctx, other.Pod, map[string]any{"nominatedNodeName": nil}); err != nil {
			// It finds a place without that, if later.
			e.log.Warn("cannot end a nomination", "pod", other.Pod.Namespace+"/"+other.Pod.Name, "error", err)
		}
	}
	evictions, ctx := errgroup.WithContext(ctx)
	evictions.SetLimit(maxEvictions)
	for _, victim := range r.Victims {
		if victim.Pod.DeletionTimestamp == nil {
			evictions.Go(func() error { return e.evict(ctx, p.Pod, victim.Pod, r.NominatedNodeName) })
		}
	}
	return evictions.Wait()
}

// evict deletes a victim after its status says why, or takes its place from it if it only
// waits for the permission to be bound there.
func (e *evictor) evict(ctx context.Context, preemptor, victim *corev1.Pod, node string) error {
	message := fmt.Sprintf("Preempted by pod %s on node %s", preemptor.UID, node)
	if waiting := e.waiting.get(victim.UID); waiting != nil && waiting.reject("DefaultPreemption", "preempted") {
		e.events.Event(victim, corev1.EventTypeNormal, "Preempted", message+" (in kube-scheduler memory).")
		return nil
	}
	status := corev1.PodStatus{}
	if old := pod.Condition(&victim.Status, corev1.DisruptionTarget); old != nil {
		status.Conditions = []corev1.PodCondition{*old}
	}
	if pod.SetCondition(&status, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler, ObservedGeneration: victim.Generation,
		Message: preemptor.Spec.SchedulerName + ": preempting to accommodate a higher priority pod",
	}, metav1.NewTime(e.status.clock.Now())) {
		if err := e.status.patch(ctx, victim, map[string]any{"conditions": status.Conditions}); err != nil {
			return err
		}
	}
	err := e.client.CoreV1().Pods(victim.Namespace).Delete(ctx, victim.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: ptr.To(victim.UID)}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // it is gone, and perhaps another has its name
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete pod %s/%s: %w", victim.Namespace, victim.Name, err)
	}
	e.events.Event(victim, corev1.EventTypeNormal, "Preempted", message)
	return nil
}
