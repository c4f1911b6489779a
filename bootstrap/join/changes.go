package join

import (
	"context"
	"time"

	"github.com/gantry-run/gantry/bootstrap/step"
)

// Changes makes the changes of etcd's membership through a client that is opened for
// each of them.
type Changes struct {
	Open func(context.Context) (Store, error)
	// Patience is how long a learner that comes no further is waited for.
	Patience time.Duration
}

var _ step.Members = Changes{}

// Add makes a member known, as a learner.
func (c Changes) Add(ctx context.Context, name, peerURL string, empty bool) (map[string]string, error) {
	s, err := c.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close() // the change is made, or has failed already
	return AddLearner(ctx, s, name, peerURL, empty)
}

// Promote makes a learner a voter once it has caught up.
func (c Changes) Promote(ctx context.Context, name, peerURL string) error {
	s, err := c.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close() // as above
	return Promote(ctx, s, name, peerURL, c.Patience)
}

// Remove takes a member out, if the voters that stay are a quorum.
func (c Changes) Remove(ctx context.Context, name, peerURL string) error {
	s, err := c.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close() // as above
	return Remove(ctx, s, name, peerURL)
}

// Opened is an Open of a client that its caller closes.
func Opened(s Store) func(context.Context) (Store, error) {
	return func(context.Context) (Store, error) { return shared{s}, nil }
}

type shared struct{ Store }

func (shared) Close() error { return nil }
