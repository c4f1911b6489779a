package client

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
)

// Informers returns a factory whose caches drop managedFields, which no
// controller of ours reads and which are a good part of every object.
func Informers(c kubernetes.Interface, opts ...informers.SharedInformerOption) informers.SharedInformerFactory {
	opts = append([]informers.SharedInformerOption{informers.WithTransform(dropManagedFields)}, opts...)
	return informers.NewSharedInformerFactoryWithOptions(c, 0, opts...)
}

func dropManagedFields(obj any) (any, error) {
	if m, err := meta.Accessor(obj); err == nil {
		m.SetManagedFields(nil)
	}
	return obj, nil
}
