package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

	mu sync.Mutex
	// going are victims until they are gone: the snapshot does not show at once that one
	// ends, and the next preemptor may choose it too.
	going map[types.UID]bool
}

// begin says whether a victim is not on its way already, and notes that it is now.
func (e *evictor) begin(victim types.UID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.going[victim] {
		return false
	}
	e.going[victim] = true
	return true
}

// forget drops a victim that is gone, or that stays.
func (e *evictor) forget(victim types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.going, victim)
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
			evictions.Go(func() error {
				if !e.begin(victim.Pod.UID) {
					return nil
				}
				gone, err := e.evict(ctx, p.Pod, victim.Pod, r.NominatedNodeName)
				if !gone || err != nil {
					e.forget(victim.Pod.UID)
				}
				return err
			})
		}
	}
	return evictions.Wait()
}

// evict deletes a victim after its status says why, or takes its place from it if it only
// waits for the permission to be bound there: that one is not gone.
func (e *evictor) evict(ctx context.Context, preemptor, victim *corev1.Pod, node string) (gone bool, err error) {
	message := fmt.Sprintf("Preempted by pod %s on node %s", preemptor.UID, node)
	if waiting := e.waiting.get(victim.UID); waiting != nil && waiting.reject("DefaultPreemption", "preempted") {
		e.events.Event(victim, corev1.EventTypeNormal, "Preempted", message+" (in kube-scheduler memory).")
		return false, nil
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
			return false, err
		}
	}
	err = e.client.CoreV1().Pods(victim.Namespace).Delete(ctx, victim.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: ptr.To(victim.UID)}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // it is gone, and perhaps another has its name
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete pod %s/%s: %w", victim.Namespace, victim.Name, err)
	}
	e.events.Event(victim, corev1.EventTypeNormal, "Preempted", message)
	return true, nil
}
