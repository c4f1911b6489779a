package nodestatus

import (
	"errors"
	"sync"
	"time"
)

// runtimeGrace is how long the container runtime may be away, to be restarted or
// upgraded, before the node says that it is not ready: its pods run on meanwhile.
const runtimeGrace = 10 * time.Second

// RuntimeState is what is known of the container runtime.
type RuntimeState struct {
	changed func()

	mu      sync.Mutex
	version string
	err     error
	lost    time.Time // since when err is set
}

// NewRuntimeState returns the state before the runtime was reached. changed is called
// whenever it went or came back, and once more when it has been away for the grace.
func NewRuntimeState(changed func()) *RuntimeState {
	return &RuntimeState{changed: changed, err: errors.New("container runtime was not reached yet")}
}

// Reached notes that the runtime answers, and its version.
func (s *RuntimeState) Reached(version string) {
	s.mu.Lock()
	was := s.err
	s.version, s.err = version, nil
	s.mu.Unlock()
	if was != nil {
		s.changed()
	}
}

// Lost notes that the runtime does not answer.
func (s *RuntimeState) Lost(err error) {
	s.mu.Lock()
	was := s.err
	if s.err = err; was == nil {
		s.lost = time.Now()
	}
	s.mu.Unlock()
	if was == nil {
		time.AfterFunc(runtimeGrace, s.changed)
	}
}

// Err is why the runtime does not answer now.
func (s *RuntimeState) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// observe returns the version ("" before it was known), why the runtime does not answer
// now, and whether it has been away for longer than the grace, or was never reached.
func (s *RuntimeState) observe(now time.Time) (version string, err error, overdue bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version, s.err, s.err != nil && (s.version == "" || now.Sub(s.lost) >= runtimeGrace)
}
