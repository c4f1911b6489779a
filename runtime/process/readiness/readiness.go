// Package readiness is how a component says whether it can serve, and if not, why:
// one way for all of them. What asks (/readyz, systemd, the plan) sees the reason. It
// imports nothing of ours.
package readiness

import (
	"errors"
	"sync/atomic"
)

// Status is whether a component is ready. It is safe for concurrent use; embedded, it
// gives a component its Ready method.
type Status struct {
	reason atomic.Pointer[error] // why it is not ready; nil: it is
}

// NotReady returns a status that is not ready for a reason.
func NotReady(reason string) *Status {
	s := &Status{}
	s.Set(errors.New(reason))
	return s
}

// Set makes the component ready (nil) or not, for the reason that err tells.
func (s *Status) Set(err error) {
	if err == nil {
		s.reason.Store(nil)
		return
	}
	s.reason.Store(&err)
}

// Ready returns why the component cannot serve; nil if it can.
func (s *Status) Ready() error {
	if err := s.reason.Load(); err != nil {
		return *err
	}
	return nil
}
