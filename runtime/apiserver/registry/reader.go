package registry

import (
	"context"
	"time"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/tools/cache"
)

// Fresh and Cached say how new a read has to be: Cached is answered from memory
// and may lag behind the last write by milliseconds.
const (
	Fresh  = ""
	Cached = "0"
)

// Read returns an object of the store. Callers may not change it.
func Read[T runtime.Object](ctx context.Context, s *Store, namespace, name, freshness string) (T, error) {
	obj, err := s.Get(genericapirequest.WithNamespace(ctx, namespace), name, &metav1.GetOptions{ResourceVersion: freshness})
	if err != nil {
		var none T
		return none, err
	}
	return obj.(T), nil
}

// ListWhere returns the objects of a namespace ("" for all) whose fields match.
// Callers may not change them.
func ListWhere[T runtime.Object](ctx context.Context, s *Store, namespace string, where fields.Set, freshness string) (T, error) {
	o := &metainternalversion.ListOptions{ResourceVersion: freshness, FieldSelector: where.AsSelector()}
	obj, err := s.List(genericapirequest.WithNamespace(ctx, namespace), o)
	if err != nil {
		var none T
		return none, err
	}
	return obj.(T), nil
}

// ListWatch feeds an informer straight from the store: without HTTP and without
// a second copy of each object. What it yields may not be changed.
func (s *Store) ListWatch() cache.ListerWatcher { return s.listWatch(metav1.NamespaceAll, nil) }

// ListWatchOne does the same with one object.
func (s *Store) ListWatchOne(namespace, name string) cache.ListerWatcher {
	return s.listWatch(namespace, fields.OneTermEqualSelector(metav1.ObjectNameField, name))
}

func (s *Store) listWatch(namespace string, where fields.Selector) cache.ListerWatcher {
	internal := func(o metav1.ListOptions) *metainternalversion.ListOptions {
		out := &metainternalversion.ListOptions{
			ResourceVersion: o.ResourceVersion, ResourceVersionMatch: o.ResourceVersionMatch,
			AllowWatchBookmarks: o.AllowWatchBookmarks, SendInitialEvents: o.SendInitialEvents,
			Limit: o.Limit, Continue: o.Continue, Watch: o.Watch, FieldSelector: where,
		}
		if o.TimeoutSeconds != nil {
			out.TimeoutSeconds = o.TimeoutSeconds
		}
		return out
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return s.List(genericapirequest.WithNamespace(ctx, namespace), internal(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			// HTTP would end the watch at its timeout; here the context does.
			d := 30 * time.Minute
			if o.TimeoutSeconds != nil {
				d = time.Duration(*o.TimeoutSeconds) * time.Second
			}
			ctx, cancel := context.WithTimeout(ctx, d)
			w, err := s.Watch(genericapirequest.WithNamespace(ctx, namespace), internal(o))
			if err != nil {
				cancel()
				return nil, err
			}
			return &boundedWatch{watch.Filter(w, unwrap), cancel}, nil
		},
	}
	return lw
}

// unwrap takes an object out of the cover that shares its encodings among watches
// over HTTP.
func unwrap(e watch.Event) (watch.Event, bool) {
	if c, ok := e.Object.(runtime.CacheableObject); ok {
		e.Object = c.GetObject()
	}
	return e, true
}

// boundedWatch frees its context when it is stopped.
type boundedWatch struct {
	watch.Interface
	cancel context.CancelFunc
}

func (w *boundedWatch) Stop() {
	w.Interface.Stop()
	w.cancel()
}
