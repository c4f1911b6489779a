package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEventuallyLetsAnAttemptEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := Eventually(t.Context(), time.Second, func(ctx context.Context) error {
			select { // a machine that is slow to ask
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(5 * time.Second):
				return nil
			}
		})
		if err != nil {
			t.Errorf("what is so is not found: %v", err)
		}
	})
}

func TestEventuallyTellsTheLastReason(t *testing.T) {
	reason := errors.New("2 of 3 are ready")
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		err := Eventually(t.Context(), 10*time.Second, func(ctx context.Context) error {
			if attempts++; attempts <= 3 {
				return reason
			}
			<-ctx.Done() // this one hangs
			return errors.New("signal: killed")
		})
		if !errors.Is(err, reason) || !strings.HasPrefix(err.Error(), "not within 30s: ") {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestEventuallyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		reason := errors.New("not yet")
		err := Eventually(ctx, time.Hour, func(context.Context) error { return reason })
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, reason) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestAWrongAnswerIsNotAskedForAgain(t *testing.T) {
	tries := 0
	err := answered(func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("nobody answers")
		}
		return fmt.Errorf("look: %w", wrongAnswer{errors.New("not Ready")})
	})(t.Context())
	if err == nil || err.Error() != "look: not Ready" || tries != 3 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	if err := answered(func(context.Context) error { return nil })(t.Context()); err != nil {
		t.Error(err)
	}
}
