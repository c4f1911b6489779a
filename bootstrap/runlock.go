package bootstrap

import (
	"context"
	"errors"

	"github.com/gantry-run/gantry/bootstrap/runlock"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// lock takes the cluster's run lock for an operation. The context ends when the lock
// is lost; release ends the operation and says so in its report.
func (e *Engine) lock(ctx context.Context, cluster string, masters []spec.Host, doing string) (_ context.Context, release func(*Report), err error) {
	if e.RunLock == nil {
		return ctx, func(*Report) {}, nil
	}
	// It may have to wait for another run: the log says so.
	start, event := e.Now(), step.Event{Step: "take the run lock", State: step.Began, Message: doing}
	e.Events(event)
	held, done, err := e.RunLock.Of(cluster).Hold(ctx, masters, doing)
	event.State, event.Err, event.Took = step.Done, err, e.Now().Sub(start)
	if err != nil {
		event.State = step.Failed
	}
	e.Events(event)
	if err != nil {
		return ctx, func(*Report) {}, err
	}
	return held, func(r *Report) {
		var lost *runlock.LostError
		if errors.As(context.Cause(held), &lost) {
			r.Warnings = append(r.Warnings, lost.Error())
		}
		done()
	}, nil
}

// notBegun is the report of an operation that did not begin, as no master granted the
// run lock. Without one nothing can be done to a cluster, but for leaving it.
func notBegun(err error) Report {
	var nobody *runlock.NobodyError
	if !errors.As(err, &nobody) {
		return Report{}
	}
	r := Report{Hosts: map[string]Status{}}
	for name, err := range nobody.Hosts {
		r.Hosts[name] = Status{State: Unknown, Message: err.Error(), Err: err}
	}
	return r
}

// nobodyAnswers reports whether no master could as much as be logged in to.
func nobodyAnswers(err error) bool {
	var nobody *runlock.NobodyError
	return errors.As(err, &nobody) && !nobody.LoggedIn
}
