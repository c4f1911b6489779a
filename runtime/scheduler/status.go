package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/pod"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// failed returns a pod to the queue and says in its status and an event why it is not
// scheduled.
func (l *loop) failed(ctx context.Context, qp *queuedPod, p *core.PodInfo, err error) {
	var fit *core.FitError
	nominated := ""
	if errors.As(err, &fit) {
		nominated = fit.NominatedNodeName
		l.queue.addUnschedulable(qp, fit.RejectedBy)
	} else {
		l.queue.addBackoff(qp)
	}
	o := p.Pod
	l.events.Event(o, corev1.EventTypeWarning, "FailedScheduling", err.Error())
	if err := l.writeStatus(ctx, o, err.Error(), nominated); err != nil && ctx.Err() == nil {
		l.log.Warn("cannot write why a pod is not scheduled", "pod", o.Namespace+"/"+o.Name, "error", err)
	}
}

// writeStatus sets PodScheduled=False, and the nominated node if there is one, unless
// the status says the same already.
func (l *loop) writeStatus(ctx context.Context, o *corev1.Pod, message, nominatedNodeName string) error {
	patch, err := statusPatch(o, message, nominatedNodeName, metav1.NewTime(l.clock.Now()))
	if err != nil || patch == nil {
		return err
	}
	_, err = l.client.CoreV1().Pods(o.Namespace).Patch(ctx, o.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("patch the status of pod %s/%s: %w", o.Namespace, o.Name, err)
	}
	return nil
}

// statusPatch is nil when nothing would change.
func statusPatch(o *corev1.Pod, message, nominatedNodeName string, now metav1.Time) ([]byte, error) {
	status := corev1.PodStatus{}
	if old := pod.Condition(&o.Status, corev1.PodScheduled); old != nil {
		status.Conditions = []corev1.PodCondition{*old}
	}
	changed := pod.SetCondition(&status, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message,
	}, now)
	fields := map[string]any{"conditions": status.Conditions}
	if nominatedNodeName != "" && nominatedNodeName != o.Status.NominatedNodeName {
		fields["nominatedNodeName"] = nominatedNodeName
		changed = true
	}
	if !changed {
		return nil, nil
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"uid": o.UID}, "status": fields})
}
