package bootstrap

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// waitNode waits until the Node is Ready, and otherwise says how it stands.
func (e *Engine) waitNode(ctx context.Context, api kubernetes.Interface, name string) error {
	ctx, cancel := context.WithTimeout(ctx, e.NodeTimeout)
	defer cancel()
	for {
		node, err := api.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		why := ""
		switch {
		case apierrors.IsNotFound(err):
			why = "its kubelet has not registered yet"
		case err != nil:
			why = err.Error()
		default:
			if why = notReady(node); why == "" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s is not Ready after %s: %s; its kubelet's log (journalctl -u gantry-kubelet) says more", name, e.NodeTimeout, why)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// notReady says why a node is not Ready; "" when it is.
func notReady(n *corev1.Node) string {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			if c.Status == corev1.ConditionTrue {
				return ""
			}
			return strings.TrimSpace(fmt.Sprintf("Ready is %s: %s %s", c.Status, c.Reason, c.Message))
		}
	}
	return "it reports no Ready condition"
}

// appliedAnnotation remembers which labels and taints a Node has of us, so that
// one that is no longer wanted is told from one that somebody else put there.
const appliedAnnotation = "gantry.run/applied"

type applied struct {
	Labels []string `json:"labels,omitempty"`
	Taints []string `json:"taints,omitempty"`
}

// applyNode gives the Node its labels and taints, and lifts the cordon that an
// interrupted drain may have left on a node that is wanted.
func applyNode(ctx context.Context, api kubernetes.Interface, n spec.Node) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		node, err := api.CoreV1().Nodes().Get(ctx, n.Host.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !reconcile(node, n) {
			return nil
		}
		_, err = api.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("apply labels and taints of node %s: %w", n.Host.Name, err)
	}
	return nil
}

func taintID(key, effect string) string { return key + ":" + effect }

// reconcile changes node to what n wants and reports whether anything changed.
func reconcile(node *corev1.Node, n spec.Node) bool {
	before := node.DeepCopy()
	var old, now applied
	json.Unmarshal([]byte(node.Annotations[appliedAnnotation]), &old) //nolint:errcheck // ours or empty
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	for k, v := range n.Labels {
		node.Labels[k] = v
		now.Labels = append(now.Labels, k)
	}
	for _, k := range old.Labels {
		if _, wanted := n.Labels[k]; !wanted {
			delete(node.Labels, k)
		}
	}
	for _, t := range n.Taints {
		now.Taints = append(now.Taints, taintID(t.Key, t.Effect))
	}
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		id := taintID(t.Key, string(t.Effect))
		return slices.Contains(old.Taints, id) || slices.Contains(now.Taints, id)
	})
	for _, t := range n.Taints {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	slices.Sort(now.Labels)
	data, _ := json.Marshal(now) // strings only
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	node.Annotations[appliedAnnotation] = string(data)
	node.Annotations[hostAnnotation] = declaration(n.Host)
	return !sameNode(before, node)
}

func sameNode(a, b *corev1.Node) bool {
	if len(a.Spec.Taints) != len(b.Spec.Taints) || len(a.Labels) != len(b.Labels) ||
		a.Annotations[appliedAnnotation] != b.Annotations[appliedAnnotation] || a.Annotations[hostAnnotation] != b.Annotations[hostAnnotation] {
		return false
	}
	for _, t := range b.Spec.Taints {
		if !slices.ContainsFunc(a.Spec.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&t) && o.Value == t.Value }) {
			return false
		}
	}
	for k, v := range b.Labels {
		if old, ok := a.Labels[k]; !ok || old != v {
			return false
		}
	}
	return true
}
