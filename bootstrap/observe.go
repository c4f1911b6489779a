package bootstrap

import (
	"context"
	"fmt"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// ObserveCluster says how every master stands. It changes nothing. Where the Nodes
// cannot be compared, a warning says so: what was not seen is not as it should be.
func (e *Engine) ObserveCluster(ctx context.Context, have spec.Cluster) Report {
	f := fleet.Connect(ctx, e.access().Config, have.Masters)
	defer f.Close()
	a, err := access.Of(ctx, e.access(), f, have.ID)
	if err == nil && a.Source == "" {
		err = fmt.Errorf("%w: none of those that answer has a store", access.ErrNoAuthorities)
	}
	var listed *machine.Listed
	if err == nil {
		listed, err = machine.List(ctx, a, have.Connection())
	}
	notCompared(f, "cluster "+have.Name, err)
	e.lifecycle().Observe(ctx, f, listed, have.Master)
	return f.Report()
}

// ObservePool says how every host of a pool stands. It changes nothing. Where the
// Nodes cannot be compared, a warning says so.
func (e *Engine) ObservePool(ctx context.Context, c spec.Connection, have spec.Pool) Report {
	a, err := access.Reach(ctx, e.access(), c)
	var listed *machine.Listed
	if err == nil {
		defer a.Close()
		listed, err = machine.List(ctx, a, c)
	}
	f := fleet.Connect(ctx, e.access().Config, have.Hosts)
	defer f.Close()
	notCompared(f, "pool "+have.Name, err)
	e.lifecycle().Observe(ctx, f, listed, func(name string) (spec.Node, bool) { return have.Worker(c, name) })
	return f.Report()
}

// notCompared is the warning of hosts that were looked at without their Nodes: that
// is no news of them, but no agreement either.
func notCompared(f *fleet.Fleet, whose string, err error) {
	if err != nil {
		f.Warn("the Nodes of %s could not be compared with what they should be: %v", whose, err)
	}
}
