package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// waitNode waits until the Node is Ready, and otherwise says how it stands.
func (e *Engine) waitNode(ctx context.Context, api kubernetes.Interface, name string) error {
	ctx, cancel := context.WithTimeout(ctx, e.NodeTimeout)
	defer cancel()
	for {
		node, err := api.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		why := err
		switch {
		case apierrors.IsNotFound(err):
			why = errors.New("its kubelet has not registered yet")
		case errors.Is(err, host.ErrUnreachable): // the master through which it is asked; no other is
			return fmt.Errorf("see whether node %s is Ready: %w", name, err)
		case err == nil:
			said := notReady(node)
			if said == "" {
				return nil
			}
			why = errors.New(said)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s is not Ready after %s: %w; its kubelet's log (journalctl -u gantry-kubelet) says more", name, e.NodeTimeout, why)
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
