// Package drain moves a node's pods elsewhere and takes the node out of the
// cluster, through the API as kubectl drain does. It imports nothing of ours.
package drain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"k8s.io/kubectl/pkg/drain"
)

// Options bound a drain.
type Options struct {
	// Timeout until all pods are gone, their grace periods included.
	Timeout time.Duration
	// Last ends the pods, whatever their disruption budgets say, once there is no
	// other node that they could move to: a budget cannot be met then.
	Last bool
	// Progress is told of each pod; may be nil.
	Progress func(message string)
}

// CordonAnnotation is on a node that we have cordoned, so that a removal that was
// interrupted and then given up leaves a trace to be undone.
const CordonAnnotation = "gantry.run/leaving"

// Cordon keeps new pods away from the node. It returns false when there is no
// such node. One that somebody else has cordoned stays theirs, without our mark.
func Cordon(ctx context.Context, c kubernetes.Interface, node string) (bool, error) {
	return patch(ctx, c, node, true, func(n *corev1.Node) bool { return !n.Spec.Unschedulable })
}

// Uncordon lets pods come again, where it was us who kept them away.
func Uncordon(ctx context.Context, c kubernetes.Interface, node string) error {
	_, err := patch(ctx, c, node, false, func(n *corev1.Node) bool { _, ours := n.Annotations[CordonAnnotation]; return ours })
	return err
}

// patch cordons or uncordons the node where when says so of it, and only as it was
// then: what somebody does in between is not overwritten.
func patch(ctx context.Context, c kubernetes.Interface, node string, cordon bool, when func(*corev1.Node) bool) (there bool, err error) {
	what, mark := "uncordon", "null"
	if cordon {
		what, mark = "cordon", `"true"`
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		n, err := c.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil || !when(n) {
			return err
		}
		data := fmt.Sprintf(`{"metadata":{"resourceVersion":%q,"annotations":{%q:%s}},"spec":{"unschedulable":%t}}`, n.ResourceVersion, CordonAnnotation, mark, cordon)
		_, err = c.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, []byte(data), metav1.PatchOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s node %s: %w", what, node, err)
	}
	return true, nil
}

// Drain evicts the node's pods, which respects their disruption budgets and grace
// periods, and waits until they are gone. Pods of DaemonSets and static pods stay;
// what is in emptyDir volumes is lost, as it is whenever a pod moves. Pods that
// nothing would create again are evicted too: the host goes.
func Drain(ctx context.Context, c kubernetes.Interface, node string, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	evicting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if o.Last {
		go func() { stop(untilLast(evicting, c)) }()
	}
	err := run(helper(evicting, c, o), node, o)
	if !errors.Is(context.Cause(evicting), errLast) {
		return err
	}
	h := helper(ctx, c, o)
	h.DisableEviction = true
	return run(h, node, o)
}

func run(h *drain.Helper, node string, o Options) error {
	var stderr bytes.Buffer
	h.ErrOut = &stderr
	if err := drain.RunNodeDrain(h, node); err != nil {
		return fmt.Errorf("drain node %s within %s: %w%s", node, o.Timeout, err, lastLine(stderr.String()))
	}
	return nil
}

var errLast = errors.New("no node is left that the pods could move to")

// lookAgain is how often it is seen whether other nodes are left: those of other
// pools may be leaving too.
const lookAgain = 2 * time.Second

// untilLast returns errLast once no node is left, or what ended the context.
func untilLast(ctx context.Context, c kubernetes.Interface) error {
	for {
		if left, err := Others(ctx, c, nil); err == nil && !left {
			return errLast
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lookAgain):
		}
	}
}

// Others reports whether a node is left that pods could move to, besides these: one
// that is Ready, takes pods, and is not for the control plane alone.
func Others(ctx context.Context, c kubernetes.Interface, besides []string) (bool, error) {
	nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list nodes: %w", err)
	}
	return slices.ContainsFunc(nodes.Items, func(n corev1.Node) bool {
		return !slices.Contains(besides, n.Name) && !n.Spec.Unschedulable &&
			slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			}) &&
			!slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
				return t.Key == controlPlaneTaint && t.Effect != corev1.TaintEffectPreferNoSchedule
			})
	}), nil
}

const controlPlaneTaint = "node-role.kubernetes.io/control-plane"

func helper(ctx context.Context, c kubernetes.Interface, o Options) *drain.Helper {
	progress := o.Progress
	if progress == nil {
		progress = func(string) {}
	}
	return &drain.Helper{
		Ctx: ctx, Client: c, Force: true, GracePeriodSeconds: -1, IgnoreAllDaemonSets: true, DeleteEmptyDirData: true,
		Timeout: o.Timeout, Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}, EvictErrorRetryDelay: time.Second,
		// A node that is gone from the network never confirms the end of its pods.
		SkipWaitForDeleteTimeoutSeconds: int(o.Timeout.Seconds()) + 60,
		OnPodDeletionOrEvictionStarted: func(p *corev1.Pod, _ bool) {
			progress(fmt.Sprintf("evicting pod %s/%s", p.Namespace, p.Name))
		},
	}
}

// Gone reports whether the cluster does not hear of the node any more, or has none
// of that name.
func Gone(ctx context.Context, c kubernetes.Interface, node string) (bool, error) {
	n, err := c.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("get node %s: %w", node, err)
	}
	for _, cond := range n.Status.Conditions {
		if cond.Type == corev1.NodeReady {
			return cond.Status == corev1.ConditionUnknown, nil
		}
	}
	return false, nil
}

// DeleteNode takes the Node out of the API. One that is not there is no error.
func DeleteNode(ctx context.Context, c kubernetes.Interface, node string) error {
	err := c.CoreV1().Nodes().Delete(ctx, node, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete node %s: %w", node, err)
	}
	return nil
}

// lastLine is what kubectl's helper said last: the budget that blocked it.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	return " (" + s[strings.LastIndexByte(s, '\n')+1:] + ")"
}
