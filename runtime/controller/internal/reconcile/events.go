package reconcile

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// Watch calls the functions that are not nil with typed objects. deleted gets the
// last known state of objects whose deletion was missed. It returns whether the
// handler has seen the initial list.
func Watch[T metav1.Object](informer cache.SharedInformer, added func(T), updated func(old, now T), deleted func(T)) cache.InformerSynced {
	var h cache.ResourceEventHandlerFuncs
	if added != nil {
		h.AddFunc = func(obj any) {
			if o, ok := obj.(T); ok {
				added(o)
			}
		}
	}
	if updated != nil {
		h.UpdateFunc = func(old, now any) {
			o, ok1 := old.(T)
			n, ok2 := now.(T)
			if ok1 && ok2 {
				updated(o, n)
			}
		}
	}
	if deleted != nil {
		h.DeleteFunc = func(obj any) {
			if missed, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = missed.Obj
			}
			if o, ok := obj.(T); ok {
				deleted(o)
			}
		}
	}
	reg, err := informer.AddEventHandler(h)
	if err != nil { // the informer has already stopped: nothing will ever be seen
		return func() bool { return false }
	}
	return reg.HasSynced
}

// Every queues with enqueue for each event of an informer.
func Every[T metav1.Object](informer cache.SharedInformer, enqueue func(T)) cache.InformerSynced {
	return Watch(informer, enqueue, func(_, now T) { enqueue(now) }, enqueue)
}

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
