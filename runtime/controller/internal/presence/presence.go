package presence

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kinds are those of which somebody awaits the first object. The zero value is ready to
// use, and a nil one has none that is awaited.
type Kinds struct {
	mu      sync.Mutex
	awaited map[schema.GroupResource]*first
}

type first struct {
	seen chan struct{}
	tell func()
}

// Await returns a channel that is closed when an object of a kind has been seen. It is for
// those who ask before the kind is watched: an object seen earlier is not told of.
func (k *Kinds) Await(gr schema.GroupResource) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.awaited[gr]; f != nil {
		return f.seen
	}
	if k.awaited == nil {
		k.awaited = map[schema.GroupResource]*first{}
	}
	seen := make(chan struct{})
	k.awaited[gr] = &first{seen: seen, tell: sync.OnceFunc(func() { close(seen) })}
	return seen
}

// Teller returns what is to be called when an object of a kind is seen, as often as one is;
// nil where nobody awaits it.
func (k *Kinds) Teller(gr schema.GroupResource) func() {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.awaited[gr]; f != nil {
		return f.tell
	}
	return nil
}
