package expectations

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Writes remembers the version of each object that was written last, so that
// nothing is decided from a cache that does not have it yet. The zero value is
// ready to use.
type Writes struct {
	mu sync.Mutex
	of map[types.UID]string
}

// Wrote notes an object as the server returned it.
func (w *Writes) Wrote(o metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[types.UID]string{}
	}
	w.of[o.GetUID()] = o.GetResourceVersion()
}

// Seen says whether an object from the cache is as new as what was written.
func (w *Writes) Seen(o metav1.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	written, waits := w.of[o.GetUID()]
	if !waits {
		return true
	}
	if c, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), written); err == nil && c < 0 {
		return false
	}
	delete(w.of, o.GetUID())
	return true
}

// Forget drops what is known of an object that is gone.
func (w *Writes) Forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, uid)
}
