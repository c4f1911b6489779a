package runlock

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// HeldError is a run lock that somebody else has.
type HeldError struct {
	Host   string // the master that says so
	Holder string
	Since  time.Time
	// Silent is how long ago it was renewed; at TTL it ends.
	Silent, TTL time.Duration
}

func (e *HeldError) Error() string {
	s := fmt.Sprintf("another run is at work on this cluster: %s, since %s (%s says so)", e.Holder, e.Since.UTC().Format("2006-01-02 15:04:05 UTC"), e.Host)
	if e.Silent > e.TTL/2 {
		s += fmt.Sprintf("; it has been silent for %s, and its run lock ends in %s", e.Silent, max(0, e.TTL-e.Silent))
	}
	return s + ". Nothing was changed"
}

// LostError ends the context of an operation whose run lock could not be kept.
type LostError struct{ Err error }

func (e *LostError) Error() string {
	return fmt.Sprintf("the run lock on the cluster could not be kept, and so this run stopped before another could begin: %v", e.Err)
}

// Unwrap returns why.
func (e *LostError) Unwrap() error { return e.Err }

// NobodyError is a run lock that no master granted, and that nobody is known to have.
type NobodyError struct {
	// Hosts says, by the name of each master, why not.
	Hosts map[string]error
	// LoggedIn: at least one of them was logged in to and could not answer. Another
	// run may be at work on it; with no login there is none that this one could meet.
	LoggedIn bool
}

func (e *NobodyError) Error() string {
	var errs []error
	for _, err := range e.Hosts {
		errs = append(errs, err)
	}
	return fmt.Sprintf("no master can be asked for the run lock: %v", errors.Join(errs...))
}

// Unwrap gives errors.Is and errors.As the reasons.
func (e *NobodyError) Unwrap() []error { return slices.Collect(maps.Values(e.Hosts)) }
