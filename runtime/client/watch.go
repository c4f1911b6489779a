package client

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// Watch calls the functions that are not nil with an informer's objects. deleted gets
// the last known state of objects whose deletion was missed. It returns whether the
// handler, not only the informer, has seen the initial list.
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

// WatchAll calls seen with the object of every event of an informer: what it is now,
// or was last.
func WatchAll[T metav1.Object](informer cache.SharedInformer, seen func(T)) cache.InformerSynced {
	return Watch(informer, seen, func(_, now T) { seen(now) }, seen)
}

// WaitForSync waits until handlers have seen their initial lists. It fails only when
// ctx ends first: what they have seen until then is a part of the world, and must not
// be acted upon as the whole.
func WaitForSync(ctx context.Context, handlers ...cache.InformerSynced) error {
	if !cache.WaitForCacheSync(ctx.Done(), handlers...) {
		return context.Cause(ctx)
	}
	return nil
}
