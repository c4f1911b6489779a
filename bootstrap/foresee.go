package bootstrap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// ForeseePool says what the removal of these hosts would do to the pods, for whoever
// reads the plan; with destroy the whole pool goes. It changes nothing; ctx bounds it.
func (e *Engine) ForeseePool(ctx context.Context, c spec.Connection, leaving []spec.Host, destroy bool) ([]string, error) {
	masters, trust, err := e.reach(ctx, c)
	if err != nil {
		return nil, err
	}
	defer masters.close()
	api, err := e.api(masters, c, trust)
	if err != nil {
		return nil, err
	}
	f, err := drain.Foresee(ctx, api, names(leaving))
	if err == nil && destroy && len(f.Blockers) > 0 {
		var others bool
		if others, err = drain.Others(ctx, api, names(leaving)); err == nil && !others {
			f.Blockers = nil
			return append(describe(f, names(leaving)), "No other node is left for these pods: they end, also where a disruption budget allows no eviction."), nil
		}
	}
	return describe(f, names(leaving)), err
}

// ForeseeCluster says the same of masters, and what becomes of the store's quorum.
// Have is the cluster as it is, want what it is to be.
func (e *Engine) ForeseeCluster(ctx context.Context, have, want spec.Cluster, leaving []spec.Host) ([]string, error) {
	c := have.Connection()
	masters, trust, alive, down, err := e.voters(ctx, c)
	if err != nil {
		return nil, err
	}
	defer masters.close()
	out := []string{quorum(alive, down, names(want.Masters))}
	if len(leaving) == 0 {
		return out, nil
	}
	api, err := e.api(masters, c, trust)
	if err != nil {
		return out, err
	}
	f, err := drain.Foresee(ctx, api, names(leaving))
	return append(out, describe(f, names(leaving))...), err
}

// quorum is how many voters there are and will be, and how many losses they bear.
func quorum(alive, down, after []string) string {
	bears := func(n int) string { return fmt.Sprintf("bear the loss of %d", max(0, (n-1)/2)) }
	voters := len(alive) + len(down)
	s := fmt.Sprintf("Voters in the store now: %d (%s); afterwards: %d (%s), which %s.", voters, strings.Join(slices.Sorted(slices.Values(append(slices.Clone(alive), down...))), ", "),
		len(after), strings.Join(slices.Sorted(slices.Values(after)), ", "), bears(len(after)))
	switch need := voters/2 + 1; {
	case len(alive) < need:
		s += fmt.Sprintf(" It has NO quorum: %d of %d voters answer, %d must. Down: %s.", len(alive), voters, need, strings.Join(down, ", "))
	case len(down) > 0:
		s += fmt.Sprintf(" Down now: %s; with the others that leaves %d to spare.", strings.Join(down, ", "), len(alive)-need)
	default:
		s += fmt.Sprintf(" All answer; as they are they %s.", bears(voters))
	}
	return s
}

// voters counts those of the store, through a master whose etcd answers: that of a
// master which is to be replaced may be just what is broken. Where none speaks for the
// store, it has no quorum, and one that answers for itself is asked.
func (e *Engine) voters(ctx context.Context, c spec.Connection) (masters *fleet, trust install.Authorities, alive, down []string, err error) {
	type seen struct {
		entry
		alive, down []string
	}
	ask := func(ctx context.Context, count func(context.Context, join.Store) (alive, down []string, err error)) (seen, error) {
		return first(len(c.Masters), func(i int) (seen, error) {
			in, err := e.enter(ctx, c, c.Masters[i])
			if err != nil {
				return seen{}, err
			}
			s, err := e.store(ctx, in.fleet, in.trust)
			if err == nil {
				defer s.Close()
				out := seen{entry: in}
				if out.alive, out.down, err = count(ctx, s); err == nil {
					return out, nil
				}
			}
			in.fleet.close()
			return seen{}, fmt.Errorf("%s: %w", c.Masters[i].Name, err)
		}, nil, func(late seen) { late.fleet.close() })
	}
	half, cancel := ctx, func() {}
	if _, bounded := ctx.Deadline(); bounded {
		half, cancel = context.WithTimeout(ctx, statusShare(ctx))
	}
	defer cancel()
	out, err := ask(half, join.Voters)
	if err != nil && ctx.Err() == nil {
		out, err = ask(ctx, join.VotersOfOne)
	}
	return out.fleet, out.trust, out.alive, out.down, err
}

// podsNamed is how many pods of a node are called by name.
const podsNamed = 5

func describe(f drain.Forecast, nodes []string) []string {
	var out []string
	for _, n := range nodes {
		pods := f.Pods[n]
		if len(pods) == 0 {
			out = append(out, fmt.Sprintf("%s leaves; no pod has to move.", n))
			continue
		}
		named := strings.Join(pods[:min(podsNamed, len(pods))], ", ")
		if more := len(pods) - podsNamed; more > 0 {
			named += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, fmt.Sprintf("%s leaves; pods to be evicted: %d (%s).", n, len(pods), named))
	}
	for _, b := range slices.Sorted(maps.Keys(f.Blockers)) {
		out = append(out, fmt.Sprintf("The disruption budget %s allows no eviction now, and would hold the drain up: %s.", b, strings.Join(f.Blockers[b], ", ")))
	}
	return out
}
