package fleet

import (
	"context"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// Config is what hosts are worked on with. All of it is required, but for
// Parallelism.
type Config struct {
	// Connect logs in to a host.
	Connect func(ctx context.Context, h spec.Host) (host.Host, error)
	// Parallelism bounds the hosts worked on at a time (default 10, and of many hosts
	// an eighth of them, up to 64).
	Parallelism int
	Events      func(step.Event)
	Now         func() time.Time
}

// Run observes the host and makes what is pending of the steps.
func (c Config) Run(ctx context.Context, m *Member, steps ...step.Step) error {
	return c.pending(ctx, m, step.HostJournal{Host: m.Host}, steps)
}

// RunUnjournalled is Run on a host whose journal is removed by the steps.
func (c Config) RunUnjournalled(ctx context.Context, m *Member, steps ...step.Step) error {
	return c.pending(ctx, m, nil, steps)
}

func (c Config) pending(ctx context.Context, m *Member, journal step.Journal, steps []step.Step) error {
	seen, err := step.Observe(ctx, m.Host, steps)
	if err != nil {
		return err
	}
	return step.Runner{Now: c.Now, Events: c.Events, Journal: journal}.Run(ctx, m.Host, seen, step.Pending(seen, steps))
}

// Change makes one change of the cluster on behalf of a host, reached or not.
func (c Config) Change(ctx context.Context, m *Member, journal step.Journal, name string, change step.Change) error {
	r := step.Runner{Now: c.Now, Events: c.Events, Journal: journal, Title: m.Title()}
	return r.Run(ctx, nil, step.Seen{}, []step.Step{{Name: name, Changes: []step.Change{change}}})
}

// Wait reports as a step what changes nothing, and takes its time.
func (c Config) Wait(m *Member, name string, f func() error) error {
	start := c.Now()
	c.Events(step.Event{Host: m.Title(), Step: name, State: step.Began})
	err := f()
	ended := step.Event{Host: m.Title(), Step: name, State: step.Done, Took: c.Now().Sub(start)}
	if err != nil {
		err = &step.Error{Host: m.Title(), Step: name, Change: "look at the API", Err: err}
		ended.State, ended.Err = step.Failed, err
	}
	c.Events(ended)
	return err
}

// width is how many of so many hosts are worked on at a time.
func (c Config) width(hosts int) int {
	if c.Parallelism > 0 {
		return c.Parallelism
	}
	return min(max(10, hosts/8), 64)
}
