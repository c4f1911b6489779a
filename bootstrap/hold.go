package bootstrap

import (
	"context"
	"errors"

	"github.com/gantry-run/gantry/bootstrap/lease"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// hold takes the cluster's lease for an operation. The context ends when the lease
// is lost; finish ends the operation and says so in its report.
func (e *Engine) hold(ctx context.Context, cluster string, masters []spec.Host, doing string) (_ context.Context, finish func(*Report), err error) {
	if e.Lease == nil {
		return ctx, func(*Report) {}, nil
	}
	// It may have to wait for another run: the log says so.
	start, event := e.Now(), step.Event{Step: "take the lease", State: step.Began, Message: doing}
	e.Events(event)
	held, done, err := e.Lease.Of(cluster).Hold(ctx, masters, doing)
	event.State, event.Err, event.Took = step.Done, err, e.Now().Sub(start)
	if err != nil {
		event.State = step.Failed
	}
	e.Events(event)
	if err != nil {
		return ctx, func(*Report) {}, err
	}
	return held, func(r *Report) {
		var lost *lease.LostError
		if errors.As(context.Cause(held), &lost) {
			r.Warnings = append(r.Warnings, lost.Error())
		}
		done()
	}, nil
}

// unasked is the report of an operation that did not begin, as no master granted the
// lease. Without one nothing can be done to a cluster, but for leaving it.
func unasked(err error) Report {
	var nobody *lease.NobodyError
	if !errors.As(err, &nobody) {
		return Report{}
	}
	r := Report{Hosts: map[string]Status{}}
	for name, err := range nobody.Hosts {
		r.Hosts[name] = Status{State: Unknown, Message: err.Error(), Err: err}
	}
	return r
}

// shutOut reports whether no master could as much as be logged in to.
func shutOut(err error) bool {
	var nobody *lease.NobodyError
	return errors.As(err, &nobody) && !nobody.LoggedIn
}
