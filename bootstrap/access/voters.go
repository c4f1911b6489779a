package access

import (
	"context"
	"fmt"
	"time"

	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Electorate is the voters of etcd, by name, and the way by which they were counted.
type Electorate struct {
	*Access
	Alive, Down []string
}

// Voters counts those of etcd, through a master whose etcd answers: that of a master
// which is to be replaced may be just what is broken. Where none speaks for all of
// etcd, it has no quorum, and one that answers for itself is asked.
func Voters(ctx context.Context, cfg Config, c spec.Connection) (Electorate, error) {
	half, cancel := ctx, func() {}
	if _, bounded := ctx.Deadline(); bounded {
		half, cancel = context.WithTimeout(ctx, Half(ctx))
	}
	defer cancel()
	out, err := count(half, cfg, c, join.Voters)
	if err != nil && ctx.Err() == nil {
		out, err = count(ctx, cfg, c, join.VotersOfOne)
	}
	return out, err
}

func count(ctx context.Context, cfg Config, c spec.Connection, ask func(context.Context, join.Store) (alive, down []string, err error)) (Electorate, error) {
	return First(len(c.Masters), func(i int) (Electorate, error) {
		a, err := enter(ctx, cfg, c, c.Masters[i])
		if err != nil {
			return Electorate{}, err
		}
		s, err := a.Etcd(ctx)
		if err == nil {
			defer s.Close() // it was only asked
			out := Electorate{Access: a}
			if out.Alive, out.Down, err = ask(ctx, s); err == nil {
				return out, nil
			}
		}
		a.Close()
		return Electorate{}, fmt.Errorf("%s: %w", c.Masters[i].Name, err)
	}, nil, func(late Electorate) { late.Close() })
}

// Half is half of the time that is left.
func Half(ctx context.Context) time.Duration {
	end, _ := ctx.Deadline()
	return time.Until(end) / 2
}
