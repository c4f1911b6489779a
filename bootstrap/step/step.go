package step

import (
	"context"

	"github.com/gantry-run/gantry/bootstrap/host"
)

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
