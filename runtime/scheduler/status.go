package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/pod"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// failed returns a pod to the queue and says in its status and an event why it is not
// scheduled. If others can make room for it, they are let go first.
func (l *loop) failed(ctx context.Context, qp *queuedPod, p *core.PodInfo, err error) {
	var fit *core.FitError
	if !errors.As(err, &fit) {
		l.queue.addBackoff(qp)
		l.tell(ctx, p.Pod, corev1.PodReasonSchedulerError, err.Error(), ptr.To(""))
		return
	}
	var nomination *string
	if fit.Result != nil {
		nomination = &fit.Result.NominatedNodeName
		if len(fit.Result.Victims) > 0 {
			// The nomination is written before there is room, and the pod returns after.
			l.tell(ctx, p.Pod, corev1.PodReasonUnschedulable, err.Error(), nomination)
			if err := l.evictor.preempt(ctx, p, fit.Result); err != nil {
				warn(ctx, l.log, "cannot preempt for a pod, will retry", p.Pod, err)
				l.queue.addBackoff(qp)
				return
			}
			l.queue.addUnschedulable(qp, fit.RejectedBy)
			return
		}
	}
	l.queue.addUnschedulable(qp, fit.RejectedBy)
	l.tell(ctx, p.Pod, corev1.PodReasonUnschedulable, err.Error(), nomination)
}

// tell says in an event and in the pod's status why it is not scheduled.
func (l *loop) tell(ctx context.Context, o *corev1.Pod, reason, message string, nomination *string) {
	l.events.Event(o, corev1.EventTypeWarning, "FailedScheduling", message)
	fields := failure(o, reason, message, nomination, metav1.NewTime(l.clock.Now()))
	if fields == nil {
		return
	}
	if err := l.status.patch(ctx, o, fields); err != nil {
		warn(ctx, l.log, "cannot write why a pod is not scheduled", o, err)
	}
}

// warn is silent once the end was asked for.
func warn(ctx context.Context, log *slog.Logger, message string, o *corev1.Pod, err error) {
	if ctx.Err() == nil {
		log.Warn(message, "pod", o.Namespace+"/"+o.Name, "error", err)
	}
}

// failure is what changes in the status of a pod that was not scheduled: the condition
// PodScheduled, and the node that the pod is nominated to ("": none; nil: as before). It
// is nil when nothing does.
func failure(o *corev1.Pod, reason, message string, nomination *string, now metav1.Time) map[string]any {
	status := corev1.PodStatus{}
	if old := pod.Condition(&o.Status, corev1.PodScheduled); old != nil {
		status.Conditions = []corev1.PodCondition{*old}
	}
	fields := map[string]any{}
	if pod.SetCondition(&status, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: o.Generation,
	}, now) {
		fields["conditions"] = status.Conditions
	}
	if nomination != nil && *nomination != o.Status.NominatedNodeName {
		if fields["nominatedNodeName"] = *nomination; *nomination == "" {
			fields["nominatedNodeName"] = nil
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return fields
}

// podStatus writes to the status of pods.
type podStatus struct {
	client kubernetes.Interface
	clock  clock.PassiveClock
}

// patch patches fields of a pod's status. A pod that is gone is no matter.
func (s podStatus) patch(ctx context.Context, o *corev1.Pod, fields map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": o.UID}, "status": fields})
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().Pods(o.Namespace).Patch(ctx, o.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("patch the status of pod %s/%s: %w", o.Namespace, o.Name, err)
	}
	return nil
}
