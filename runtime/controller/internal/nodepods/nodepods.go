package nodepods

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

const index = "node"

// AddIndex indexes an informer of pods for [On]. It must be called before the
// informer starts; more than once does no harm.
func AddIndex(informer cache.SharedIndexInformer) error {
	return reconcile.Index(informer, index, func(o metav1.Object) []string {
		if p, ok := o.(*corev1.Pod); ok && p.Spec.NodeName != "" {
			return []string{p.Spec.NodeName}
		}
		return nil
	})
}

// On returns the pods that are bound to a node.
func On(pods cache.Indexer, node string) ([]*corev1.Pod, error) {
	objs, err := pods.ByIndex(index, node)
	if err != nil {
		return nil, fmt.Errorf("find the pods of node %s: %w", node, err)
	}
	out := make([]*corev1.Pod, 0, len(objs))
	for _, o := range objs {
		out = append(out, o.(*corev1.Pod))
	}
	return out, nil
}
