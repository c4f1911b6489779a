package readiness

import (
	"errors"
	"testing"
)

func TestStatus(t *testing.T) {
	s := NotReady("starting")
	if err := s.Ready(); err == nil || err.Error() != "starting" {
		t.Errorf("at first: %v", err)
	}
	s.Set(nil)
	if err := s.Ready(); err != nil {
		t.Errorf("set ready: %v", err)
	}
	lost := errors.New("the runtime is away")
	s.Set(lost)
	if err := s.Ready(); !errors.Is(err, lost) {
		t.Errorf("set not ready: %v", err)
	}
}
