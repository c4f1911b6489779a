package client

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestHowATermEnds(t *testing.T) {
	broken := errors.New("broken")
	for what, tc := range map[string]struct {
		never bool  // the lease was never held
		told  bool  // to end, while work went on
		err   error // of work
		want  error
	}{
		"never held":               {never: true},
		"never held, told to end":  {never: true, told: true},
		"told to end":              {told: true},
		"told to end, work says":   {told: true, err: fmt.Errorf("list: %w", context.Canceled)},
		"told to end, work failed": {told: true, err: broken, want: broken},
		"lost":                     {want: ErrLostLease},
		"lost, work says":          {err: fmt.Errorf("list: %w", context.Canceled), want: ErrLostLease},
		"work failed":              {err: broken, want: broken},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		term := newTerm(ctx)
		if tc.never {
			if tc.told {
				cancel()
				<-term.lease.Done() // nobody waits for the lease any more
			}
		} else {
			term.run(ctx, t.Context(), func(held context.Context) error {
				if tc.told {
					cancel()
					<-held.Done()
				}
				if (held.Err() != nil) != tc.told || term.lease.Err() != nil {
					t.Errorf("%s: while work goes on it is held: %v, and the lease: %v", what, held.Err(), term.lease.Err())
				}
				return tc.err
			})
			if term.lease.Err() == nil {
				t.Errorf("%s: the lease is kept", what)
			}
		}
		if got := term.result(ctx); !errors.Is(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
		cancel()
		term.end()
	}
}
