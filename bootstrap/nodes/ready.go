package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// WaitReady waits until the Node is Ready, and says how it stands when it is not in
// time.
func WaitReady(ctx context.Context, api kubernetes.Interface, name string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
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
			said := NotReady(node)
			if said == "" {
				return nil
			}
			why = errors.New(said)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s is not Ready after %s: %w; its kubelet's log (journalctl -u gantry-kubelet) says more", name, timeout, why)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// NotReady says why a node is not Ready; "" when it is.
func NotReady(n *corev1.Node) string {
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

// Ready returns the Nodes that are Ready: one that is not may be what a server was
// before it was reinstalled. An API that cannot be asked within timeout has none, as
// that is no reason to refuse a host.
func Ready(ctx context.Context, api kubernetes.Interface, timeout time.Duration) []corev1.Node {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(list.Items, func(n corev1.Node) bool { return NotReady(&n) != "" })
}

// InternalIP is the node's address in the cluster; empty when it has told none.
func InternalIP(n *corev1.Node) string { return Address(n, corev1.NodeInternalIP) }

// Address is the node's address of a kind; empty when it has told none.
func Address(n *corev1.Node, kind corev1.NodeAddressType) string {
	for _, a := range n.Status.Addresses {
		if a.Type == kind {
			return a.Address
		}
	}
	return ""
}

// Version is the version of Gantry that the node's kubelet is of.
func Version(n *corev1.Node) string {
	_, v, _ := strings.Cut(n.Status.NodeInfo.KubeletVersion, "+gantry.")
	return v
}
