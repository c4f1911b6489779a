package csi

import "sync"

// locks let one at a time deal with a volume.
type locks struct {
	mu   sync.Mutex
	held map[key]*lock
}

type lock struct {
	sync.Mutex
	users int
}

// lock waits until nobody deals with a volume, and returns what ends its own turn.
func (l *locks) lock(k key) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[key]*lock{}
	}
	of := l.held[k]
	if of == nil {
		of = &lock{}
		l.held[k] = of
	}
	of.users++
	l.mu.Unlock()
	of.Lock()
	return func() {
		of.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if of.users--; of.users == 0 {
			delete(l.held, k)
		}
	}
}
