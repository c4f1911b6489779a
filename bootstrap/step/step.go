package step

import (
	"context"
	"fmt"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Step is one concern on one host, done as a whole or not journalled as done.
type Step struct {
	Name    string
	Changes []Change
}

// Change is one thing that should be so on a host. Applying it twice is the same
// as once.
type Change interface {
	// String says what applying it does, without secrets.
	fmt.Stringer
	// Watch names what Done has to know about the host.
	Watch() Watch
	// Done reports whether the host is so already.
	Done(Seen) bool
	Apply(ctx context.Context, h host.Host, seen Seen) error
}

// Watch is what a change has to know about a host.
type Watch struct {
	Files []string // described by Stat
	Units []string
}

// Seen is what was observed on a host: the input of every decision.
type Seen struct {
	Files map[string]host.FileInfo
	Units map[string]UnitState
}

// UnitState is a unit as systemd has it.
type UnitState struct {
	Loaded      bool
	Active      string // ActiveState
	Enabled     bool
	NeedsReload bool
	// Mark is the digest of the inputs with which it was last started by us.
	Mark string
}

// Running reports whether the unit serves.
func (u UnitState) Running() bool { return u.Active == "active" }

// Observe looks at everything that the steps watch, in three round trips.
func Observe(ctx context.Context, h host.Host, steps []Step) (Seen, error) {
	var files, units []string
	known := map[string]bool{}
	collect := func(into *[]string, names []string) {
		for _, n := range names {
			if !known[n] {
				known[n] = true
				*into = append(*into, n)
			}
		}
	}
	for _, s := range steps {
		for _, c := range s.Changes {
			w := c.Watch()
			collect(&files, w.Files)
			collect(&units, w.Units)
		}
	}
	seen := Seen{Files: map[string]host.FileInfo{}, Units: map[string]UnitState{}}
	var err error
	if len(files) > 0 {
		if seen.Files, err = h.Stat(ctx, files...); err != nil {
			return Seen{}, err
		}
	}
	if len(units) > 0 {
		if seen.Units, err = observeUnits(ctx, h, units); err != nil {
			return Seen{}, err
		}
	}
	return seen, nil
}

// Pending returns what is left to do, in order. Steps with nothing left are gone.
func Pending(seen Seen, steps []Step) []Step {
	var out []Step
	for _, s := range steps {
		left := Step{Name: s.Name}
		for _, c := range s.Changes {
			if !c.Done(seen) {
				left.Changes = append(left.Changes, c)
			}
		}
		if len(left.Changes) > 0 {
			out = append(out, left)
		}
	}
	return out
}

// Drift says in words what is pending: the files, units and programs that differ.
func Drift(seen Seen, steps []Step) []string {
	var out []string
	for _, s := range Pending(seen, steps) {
		for _, c := range s.Changes {
			if d, ok := c.(interface{ Differing(Seen) []string }); ok {
				out = append(out, d.Differing(seen)...)
			} else {
				out = append(out, c.String())
			}
		}
	}
	return out
}

// String is the dry run of a step.
func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", s.Name)
	for _, c := range s.Changes {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	return b.String()
}
