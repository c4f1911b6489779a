package bootstrap

import (
	"context"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/workers"
)

// PreflightCluster looks at masters that are to be new and returns, by name, which
// preflight checks each fails. Leaving are those that the cluster has and will not have. It
// changes nothing; ctx bounds it.
func (e *Engine) PreflightCluster(ctx context.Context, want spec.Cluster, names []string, leaving []spec.Host) map[string]error {
	wanted := map[string]spec.Node{}
	for _, name := range names {
		if n, ok := want.Master(name); ok {
			wanted[name] = n
		}
	}
	c := want.Connection()
	c.Masters = fleet.Except(want.Masters, names)
	return e.preflight(ctx, c, fleet.Pick(want.Masters, names), wanted, leaving)
}

// PreflightPool does the same with workers. What is between them and the cluster is
// asked once there is one.
func (e *Engine) PreflightPool(ctx context.Context, c spec.Connection, want spec.Pool, names []string, leaving []spec.Host) map[string]error {
	return e.preflight(ctx, c, fleet.Pick(want.Hosts, names), workers.Wanted(c, want, names), leaving)
}

func (e *Engine) preflight(ctx context.Context, c spec.Connection, hosts []spec.Host, wanted map[string]spec.Node, leaving []spec.Host) map[string]error {
	f := fleet.Connect(ctx, e.access().Config, hosts)
	defer f.Close()
	var cluster machine.Cluster
	if c.ClusterID != "" {
		cluster.Masters = c.Masters
		// A master that gets another name is two changes: etcd would lose the voter first.
		cluster.Leaving = slices.DeleteFunc(slices.Clone(leaving), func(h spec.Host) bool {
			return slices.ContainsFunc(hosts, func(o spec.Host) bool { return wanted[o.Name].Master && o.SameServer(h) })
		})
		if a, err := access.Reach(ctx, e.access(), c); err == nil {
			defer a.Close()
			cluster.Witnesses = a.Masters.Reached()
			cluster.Nodes = func(ctx context.Context) []corev1.Node { return machine.StayingNodes(ctx, a, c, leaving) }
		}
	}
	e.lifecycle().Preflight(ctx, f, wanted, cluster)
	out := map[string]error{}
	for name, m := range f.Members {
		if err := errors.Join(m.Status.Err, m.Refused, m.Doubt); err != nil {
			out[name] = err
		}
	}
	return out
}
