package join

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// statusTimeout is how long a member may take to say how it is.
const statusTimeout = 3 * time.Second

var errNoQuorum = errors.New("etcd has no quorum")

// electorate is the voters that are alive and those that are not, by name, and what
// came of asking these.
type electorate struct {
	alive, down []string
	why         []error
}

// quorum says why the living voters are not enough; nil when they are.
func (e electorate) quorum() error {
	all := len(e.alive) + len(e.down)
	if need := all/2 + 1; len(e.alive) < need {
		return fmt.Errorf("%w: %d of %d voters live, %d must (down: %s); bring one of those back first: %w",
			errNoQuorum, len(e.alive), all, need, strings.Join(e.down, ", "), errors.Join(e.why...))
	}
	return nil
}

// voters asks every voter but one how it is, all at once.
func voters(ctx context.Context, s Store, except uint64, opts ...clientv3.OpOption) (electorate, error) {
	list, err := s.MemberList(ctx, opts...)
	if err != nil {
		return electorate{}, fmt.Errorf("list etcd members: %w", err)
	}
	var out electorate
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, m := range list.Members {
		if m.IsLearner || m.ID == except {
			continue
		}
		wg.Go(func() {
			var why error
			ok := slices.ContainsFunc(m.ClientURLs, func(url string) bool {
				ctx, cancel := context.WithTimeout(ctx, statusTimeout)
				defer cancel()
				_, why = s.Status(ctx, url)
				return why == nil
			})
			mu.Lock()
			defer mu.Unlock()
			if ok {
				out.alive = append(out.alive, m.Name)
			} else {
				out.down = append(out.down, m.Name)
				if why == nil {
					why = errors.New("it was never started")
				}
				out.why = append(out.why, fmt.Errorf("%s: %w", m.Name, why))
			}
		})
	}
	wg.Wait()
	slices.Sort(out.down)
	return out, nil
}

// Voters are the names of the voters that answer and of those that do not, as the
// store's quorum knows them.
func Voters(ctx context.Context, s Store) (alive, down []string, err error) {
	return named(voters(ctx, s, 0))
}

// VotersOfOne are those that the member which is asked knows of: what is left to see
// of an etcd without a quorum.
func VotersOfOne(ctx context.Context, s Store) (alive, down []string, err error) {
	return named(voters(ctx, s, 0, clientv3.WithSerializable()))
}

func named(v electorate, err error) ([]string, []string, error) {
	slices.Sort(v.alive)
	return v.alive, v.down, err
}

// down names the voters that do not answer, for the message of a refused change.
func down(ctx context.Context, s Store) string {
	v, err := voters(ctx, s, 0)
	if err != nil || len(v.down) == 0 {
		return ""
	}
	return fmt.Sprintf(" (etcd takes no new member while one is down: %s; bring it back or take it out)", strings.Join(v.down, ", "))
}
