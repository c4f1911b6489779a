package workers

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Wanted are the nodes that hosts of a pool should be, by name.
func Wanted(c spec.Connection, p spec.Pool, names []string) map[string]spec.Node {
	out := map[string]spec.Node{}
	for _, name := range names {
		if n, ok := p.Worker(c, name); ok {
			out[name] = n
		}
	}
	return out
}

// Preflight looks at all hosts that are touched before anything is changed on any.
func (o *Operation) Preflight(ctx context.Context) (err error) {
	if o.revoked, err = nodes.ReadRevoked(ctx, o.api); err != nil {
		return err
	}
	o.Config.Preflight(ctx, o.joining, Wanted(o.Connection, o.Want, o.Change.Touch), machine.Cluster{
		Masters: o.Connection.Masters,
		Nodes:   func(ctx context.Context) []corev1.Node { return nodes.Ready(ctx, o.api, access.DialTimeout) },
	})
	return nil
}

// Join makes the hosts workers. They are independent: the failure of one stops no
// other.
func (o *Operation) Join(ctx context.Context) error {
	var from *handOn
	if o.HandOn && o.Bundle != nil {
		from = newHandOn(ctx, o.Bundle, o.access.Masters.Members[o.access.Source], o.Events)
	}
	if slices.ContainsFunc(o.Change.Touch, func(name string) bool { return machine.IsNew(o.joining.Members[name]) }) {
		from.begin()
	}
	o.joining.Each(ctx, o.Change.Touch, func(ctx context.Context, m *fleet.Member) error { return join(ctx, o, m, from.source()) })
	from.close()
	return nil
}

// join makes a host a worker. From is who hands the bundle on; nil is nobody.
func join(ctx context.Context, o *Operation, m *fleet.Member, from bundle.Source) error {
	if m.Refused != nil {
		return m.Refused
	}
	n, _ := o.Want.Worker(o.Connection, m.Spec.Name)
	in, err := o.Input(m, n, o.access.Trust, o.revoked[n.Host.Name])
	if err != nil {
		return err
	}
	in.From = from
	steps, err := install.Steps(in)
	if err != nil {
		return err
	}
	if err := o.Run(ctx, m, steps...); err != nil {
		return err
	}
	return o.FinishJoin(ctx, m, n, o.api)
}
