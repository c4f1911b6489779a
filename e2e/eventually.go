package e2e

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is how many times as long as their callers say things are waited for. What
// they say is what a quick machine takes, generously.
const patience = 3

// attemptLimit bounds one attempt of what is waited for.
const attemptLimit = patience * 20 * time.Second

// soon waits for what comes of itself within seconds of what was done before: the look that
// comes first may meet a process that is coming up.
func soon(step func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error { return Eventually(ctx, 20*time.Second, step) }
}

// wrongAnswer is an answer that came, and is not as it has to be.
type wrongAnswer struct{ error }

func (w wrongAnswer) Unwrap() error { return w.error }

// answered asks until somebody answers: who is asked may be coming up. A wrong answer fails at
// once, for what is asked has to be so already.
func answered(step func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		var wrong error
		err := soon(func(ctx context.Context) error {
			err := step(ctx)
			if errors.As(err, &wrongAnswer{}) {
				wrong, err = err, nil
			}
			return err
		})(ctx)
		return errors.Join(wrong, err)
	}
}

// Eventually tries until the step succeeds or the time is over: patience times the limit
// that is said. It says when the last attempt may begin: one that is under way then ends,
// so that a machine that is slow to ask fails nothing that is as it should be. The error
// tells why the last attempt failed that was not itself cut short.
func Eventually(ctx context.Context, limit time.Duration, step func(context.Context) error) error {
	limit *= patience
	over := time.Now().Add(limit)
	var last error
	for {
		attempt, cancel := context.WithTimeout(ctx, attemptLimit)
		err := step(attempt)
		if err != nil && (last == nil || attempt.Err() == nil) {
			last = err
		}
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not before the end (%w): %w", context.Cause(ctx), last)
		}
		if !time.Now().Before(over) {
			return fmt.Errorf("not within %s: %w", limit, last)
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
