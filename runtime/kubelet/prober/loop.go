package prober

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// kind is what the result of a probe is for.
type kind string

const (
	startup   kind = "Startup"
	liveness  kind = "Liveness"
	readiness kind = "Readiness"
)

// result is one answer and what it means.
type result struct {
	err       error // why the probe failed this time
	good      bool  // the verdict
	exhausted bool  // failed as often as the threshold allows
}

// quickRetries is how soon a container that is not ready yet is asked again, before
// its own period: it shortens the way to Ready and costs a few requests.
var quickRetries = [...]time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond, 200 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, 750 * time.Millisecond, time.Second, time.Second, 2 * time.Second,
}

// loop asks until ctx is done, and reports failures and changes of the verdict, which
// is good at first as the caller says.
func loop(ctx context.Context, k kind, p *corev1.Probe, startedAt time.Time, good bool, ask func(context.Context) error, report func(result)) {
	period := time.Duration(max(p.PeriodSeconds, 1)) * time.Second
	t := tally{successThreshold: max(p.SuccessThreshold, 1), failureThreshold: max(p.FailureThreshold, 1), good: good}
	delay := time.Until(startedAt.Add(time.Duration(p.InitialDelaySeconds) * time.Second))
	quick := quickRetries[:]
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		err := ask(ctx)
		if ctx.Err() != nil {
			return
		}
		verdict, changed := t.add(err == nil)
		early := k == readiness && !t.good && len(quick) > 0
		if (err != nil && !early) || changed {
			report(result{err: err, good: verdict, exhausted: t.exhausted()})
		}
		delay = period
		if early {
			delay, quick = min(quick[0], period), quick[1:]
			t.failures = 0 // asking early must not count against it
		}
	}
}
