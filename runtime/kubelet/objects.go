package kubelet

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// objects watches the ConfigMaps and Secrets in the volumes of this node's pods,
// one watch per object, so that a change is in the volume at once. A node may
// watch no more than those, which is why there is no informer.
type objects struct {
	api kubernetes.Interface

	mu      sync.Mutex
	watched map[objectKey]*watched
}

type objectKey struct{ kind, namespace, name string }

type watched struct {
	stop  context.CancelFunc
	users map[string]*objectUser // by pod UID
}

type objectUser struct {
	version string // that was read last
	changed func()
}

// rewatch is the pause before a watch that broke is made anew.
const rewatch = time.Second

// use registers a pod that has read an object in some version ("" when it is not
// there); changed is called when there is a later one.
func (o *objects) use(ctx context.Context, key objectKey, uid, version string, changed func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.watched[key]
	if w == nil {
		ctx, stop := context.WithCancel(ctx)
		w = &watched{stop: stop, users: map[string]*objectUser{}}
		o.watched[key] = w
		go o.follow(ctx, key, w)
	}
	w.users[uid] = &objectUser{version, changed}
}

// release forgets a pod, and the objects that no other pod uses.
func (o *objects) release(uid string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, w := range o.watched {
		if delete(w.users, uid); len(w.users) == 0 {
			w.stop()
			delete(o.watched, key)
		}
	}
}

func (o *objects) follow(ctx context.Context, key objectKey, w *watched) {
	for ctx.Err() == nil {
		events, err := o.watch(ctx, key)
		if err == nil {
			for e := range events.ResultChan() {
				if e.Type == watch.Error {
					break
				}
				o.tell(w, e)
				if immutable(e.Object) {
					events.Stop()
					<-ctx.Done()
					return
				}
			}
			events.Stop()
		}
		select {
		case <-ctx.Done():
		case <-time.After(rewatch):
		}
	}
}

func (o *objects) watch(ctx context.Context, key objectKey) (watch.Interface, error) {
	// Without a version the watch begins with the object as it is.
	opts := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", key.name).String()}
	if key.kind == "Secret" {
		return o.api.CoreV1().Secrets(key.namespace).Watch(ctx, opts)
	}
	return o.api.CoreV1().ConfigMaps(key.namespace).Watch(ctx, opts)
}

// tell wakes the pods that have read an earlier version.
func (o *objects) tell(w *watched, e watch.Event) {
	m, err := meta.Accessor(e.Object)
	if err != nil || e.Type == watch.Deleted { // what was mounted stays
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, u := range w.users {
		if u.version == "" || newer(m.GetResourceVersion(), u.version) {
			u.changed()
		}
	}
}

func immutable(o runtime.Object) bool {
	switch o := o.(type) {
	case *corev1.ConfigMap:
		return optional(o.Immutable)
	case *corev1.Secret:
		return optional(o.Immutable)
	}
	return false
}
