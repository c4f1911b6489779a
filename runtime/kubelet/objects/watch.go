package objects

import (
	"context"
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// Manager reads objects, and watches those in volumes, one watch per object: a change
// is in the volume at once, and a node may watch no more than those, which is why
// there is no informer.
type Manager struct {
	api  kubernetes.Interface
	node string

	mu      sync.Mutex
	watched map[Key]*watched
}

// NewManager returns a manager on a node, that watches nothing yet.
func NewManager(api kubernetes.Interface, node string) *Manager {
	return &Manager{api: api, node: node, watched: map[Key]*watched{}}
}

// Kind of an object.
type Kind string

// The kinds of objects in volumes.
const (
	ConfigMap Kind = "ConfigMap"
	Secret    Kind = "Secret"
	// ClusterTrustBundle stands for all of them, without a name: they are chosen by signer
	// and labels, and one that comes or goes counts too.
	ClusterTrustBundle Kind = "ClusterTrustBundle"
	// PodCertificateRequest is one that this node has made.
	PodCertificateRequest Kind = "PodCertificateRequest"
)

// Key names an object.
type Key struct {
	Kind            Kind
	Namespace, Name string
}

type watched struct {
	stop  context.CancelFunc
	users map[string]*user // by pod UID
}

// user is a pod with the object in a volume.
type user struct {
	version string // that was read last
	changed func()
}

// rewatch is the pause before a watch that broke is made anew.
const rewatch = time.Second

// Follow registers a pod that has read an object in some version ("" when it is not
// there); changed is called when there is a later one, until Release.
func (m *Manager) Follow(ctx context.Context, key Key, uid, version string, changed func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.watched[key]
	if w == nil {
		// The watch serves other pods after the call is over.
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		w = &watched{stop: stop, users: map[string]*user{}}
		m.watched[key] = w
		go m.follow(ctx, key, w)
	}
	w.users[uid] = &user{version, changed}
}

// Release forgets a pod, and the objects that no other pod uses.
func (m *Manager) Release(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, w := range m.watched {
		if delete(w.users, uid); len(w.users) == 0 {
			w.stop()
			delete(m.watched, key)
		}
	}
}

func (m *Manager) follow(ctx context.Context, key Key, w *watched) {
	for ctx.Err() == nil {
		events, err := m.watch(ctx, key)
		if err == nil {
			for e := range events.ResultChan() {
				if e.Type == watch.Error {
					break
				}
				m.tell(w, e)
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

func (m *Manager) watch(ctx context.Context, key Key) (watch.Interface, error) {
	if key.Kind == ClusterTrustBundle {
		return m.api.CertificatesV1().ClusterTrustBundles().Watch(ctx, metav1.ListOptions{})
	}
	// Without a version the watch begins with the object as it is.
	opts := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", key.Name).String()}
	switch key.Kind {
	case Secret:
		return m.api.CoreV1().Secrets(key.Namespace).Watch(ctx, opts)
	case PodCertificateRequest:
		opts.FieldSelector += "," + fields.OneTermEqualSelector("spec.nodeName", m.node).String() // a node sees no others
		return m.api.CertificatesV1().PodCertificateRequests(key.Namespace).Watch(ctx, opts)
	}
	return m.api.CoreV1().ConfigMaps(key.Namespace).Watch(ctx, opts)
}

// tell wakes the pods that have read an earlier version.
func (m *Manager) tell(w *watched, e watch.Event) {
	o, err := meta.Accessor(e.Object)
	_, bundle := e.Object.(*certificatesv1.ClusterTrustBundle)
	if err != nil || e.Type == watch.Deleted && !bundle { // what was mounted stays
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range w.users {
		if u.version == "" || newer(o.GetResourceVersion(), u.version) {
			u.changed()
		}
	}
}

func immutable(o runtime.Object) bool {
	switch o := o.(type) {
	case *corev1.ConfigMap:
		return ptr.Deref(o.Immutable, false)
	case *corev1.Secret:
		return ptr.Deref(o.Immutable, false)
	case *certificatesv1.PodCertificateRequest:
		return len(o.Status.Conditions) > 0 // each of them is final
	}
	return false
}

// newer says whether version a of an object is later than b.
func newer(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c > 0
}
