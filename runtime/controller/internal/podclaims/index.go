package podclaims

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

const index = "pods-by-claim"

// Index makes the pods of an informer findable by the claims that they name.
func Index(informer cache.SharedIndexInformer) (cache.Indexer, error) {
	err := reconcile.Index(informer, index, func(o metav1.Object) []string {
		p, ok := o.(*corev1.Pod)
		if !ok {
			return nil
		}
		var keys []string
		for _, name := range pod.ClaimNames(p) {
			keys = append(keys, types.NamespacedName{Namespace: p.Namespace, Name: name}.String())
		}
		return keys
	})
	return informer.GetIndexer(), err
}

// Pods are those of an indexed cache that name a claim. Of one that is made for another
// pod's ephemeral volume, they are those that have that name for their own.
func Pods(in cache.Indexer, claim types.NamespacedName) ([]*corev1.Pod, error) {
	list, err := in.ByIndex(index, claim.String())
	if err != nil {
		return nil, fmt.Errorf("look for pods of PersistentVolumeClaim %s: %w", claim, err)
	}
	out := make([]*corev1.Pod, 0, len(list))
	for _, o := range list {
		if p, ok := o.(*corev1.Pod); ok {
			out = append(out, p)
		}
	}
	return out, nil
}
