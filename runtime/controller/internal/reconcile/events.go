package reconcile

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// Key is the key of an object.
func Key(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// Index adds an index unless another controller of the shared informer already has.
func Index(informer cache.SharedIndexInformer, name string, keys func(metav1.Object) []string) error {
	if _, exists := informer.GetIndexer().GetIndexers()[name]; exists {
		return nil
	}
	err := informer.AddIndexers(cache.Indexers{name: func(obj any) ([]string, error) {
		o, err := meta.Accessor(obj)
		if err != nil {
			return nil, err
		}
		return keys(o), nil
	}})
	if err != nil {
		return fmt.Errorf("add index %s: %w", name, err)
	}
	return nil
}
