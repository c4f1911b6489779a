package registry

import (
	"context"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/storage"
	flowcontrolrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
)

const (
	// sizeTTL is how long a size is believed before it is read again.
	sizeTTL = 30 * time.Second
	// sizeTimeout bounds the reading.
	sizeTimeout = 5 * time.Second
)

// Sizes tells how many objects there are of each resource, so that a list can be given
// its share of the work. It reads what is asked for, in the background: an idle cluster
// counts nothing, and no list waits for a count. It is safe for concurrent use.
type Sizes struct {
	stores map[string]reader
	now    func() time.Time

	mu    sync.Mutex
	known map[string]*size
}

// reader is the part of a storage that counts.
type reader interface {
	Stats(ctx context.Context) (storage.Stats, error)
}

// size is one resource's.
type size struct {
	storage.Stats
	counted, reading bool
	at               time.Time
}

// Sizes are those of the stores' resources, by the names "resource.group".
func (st *Stores) Sizes() *Sizes {
	s := &Sizes{stores: map[string]reader{}, known: map[string]*size{}, now: time.Now}
	for _, store := range st.byKind {
		s.stores[store.DefaultQualifiedResource.String()] = &store.Storage
	}
	return s
}

// Get returns what was counted last; with nothing counted yet, that it is unknown.
func (s *Sizes) Get(resource string) (storage.Stats, error) {
	store := s.stores[resource]
	if store == nil {
		return storage.Stats{}, flowcontrolrequest.ObjectCountNotFoundErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.known[resource]
	if known == nil {
		known = &size{}
		s.known[resource] = known
	}
	if now := s.now(); !known.reading && now.Sub(known.at) >= sizeTTL {
		known.reading, known.at = true, now
		go s.read(store, known)
	}
	if !known.counted {
		return storage.Stats{}, flowcontrolrequest.ObjectCountNotFoundErr
	}
	return known.Stats, nil
}

// read keeps what was known when it fails.
func (s *Sizes) read(from reader, into *size) {
	ctx, cancel := context.WithTimeout(context.Background(), sizeTimeout)
	defer cancel()
	stats, err := from.Stats(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if into.reading = false; err == nil {
		into.Stats, into.counted = stats, true
	}
}
