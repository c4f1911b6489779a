package nodes

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// TakenOver reports whether the Node that has the name of a leaving host is another
// host's: of the one that the name was moved to, by a run that was cut before
// anybody kept that it had left the old one. Such a Node is none of its business.
// Answers says that the leaving host is logged in to.
func TakenOver(ctx context.Context, api kubernetes.Interface, h spec.Host, answers bool) (bool, error) {
	n, err := api.CoreV1().Nodes().Get(ctx, h.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s (%s): see whose node %s is: %w", h.Name, h.Address, h.Name, err)
	}
	return ofAnother(n, h, answers), nil
}

// ofAnother reports whether the Node is that of another host, as far as can be told.
func ofAnother(n *corev1.Node, h spec.Host, answers bool) bool {
	_, told := n.Annotations[HostAnnotation]
	elsewhere := told && Declared(n).Address != h.Address
	switch ip := InternalIP(n); {
	case told && !elsewhere:
		return false
	case ip != "" && ip != h.IP():
		return true
	}
	// Declared elsewhere, with the same address in the cluster: it is the same server
	// by another way, or one that has taken over both. A server that answers may be the
	// former, and then its pods are on it; of one that does not, nothing is left here.
	return elsewhere && !answers
}
