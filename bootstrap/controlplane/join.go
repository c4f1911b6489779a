package controlplane

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// wasMember reports whether the host was given a place in etcd by an earlier run.
func (j *joiner) wasMember() bool {
	_, given := install.EtcdOnHost(j.Files, j.node)
	return given
}

// Preflight looks at all masters that are touched before anything is changed on any.
func (o *Operation) Preflight(ctx context.Context) error {
	var wanted map[string]spec.Node
	o.join, wanted = touched(o)
	var c machine.Cluster
	if o.access.Source != "" {
		// A new master changes what every other should be, so that all are touched:
		// those that serve are looked at all the same, as nothing was changed yet.
		begun := slices.DeleteFunc(slices.Clone(o.Change.Touch), func(name string) bool { return slices.Contains(o.access.Serving, name) })
		c.Masters, c.Witnesses = fleet.Except(o.Want.Masters, begun), o.masters.Reached(begun...)
		c.Nodes = func(ctx context.Context) []corev1.Node {
			return machine.StayingNodes(ctx, o.access, o.Want.Connection(), nil)
		}
	}
	o.Config.Preflight(ctx, o.masters, wanted, c)
	o.join.revoked = machine.Revoked(ctx, o.access, o.Want.Connection())
	return nil
}

// touched are the masters that are reached and made what they should be, and what that is.
func touched(o *Operation) (joining, map[string]spec.Node) {
	j, wanted := joining{masters: map[string]*joiner{}}, map[string]spec.Node{}
	for _, name := range o.masters.Order {
		n, ok := o.Want.Master(name)
		if m := o.masters.Members[name]; ok && m.Host != nil && slices.Contains(o.Change.Touch, name) {
			j.masters[name], j.order, wanted[name] = &joiner{Member: m, node: n}, append(j.order, name), n
		}
	}
	return j, wanted
}

// Prepare does on all hosts at once what needs no other master.
func (o *Operation) Prepare(ctx context.Context) error {
	o.masters.Parallel(ctx, o.join.order, func(ctx context.Context, m *fleet.Member) {
		m.Status.Err = prepare(ctx, o, o.join.masters[m.Spec.Name])
	})
	return nil
}

func prepare(ctx context.Context, o *Operation, j *joiner) error {
	if j.Refused != nil {
		return j.Refused
	}
	var err error
	if j.input, err = o.Input(j.Member, j.node, o.access.Trust, o.join.revoked[j.node.Host.Name]); err != nil {
		return err
	}
	steps, err := install.Prepare(j.input)
	if err != nil {
		return err
	}
	return o.Run(ctx, j.Member, steps...)
}

// JoinEtcd brings the masters into etcd one after the other: one voter at a time. A
// master that serves already is gone through to its end before the next is begun: no
// two are restarted at a time, and behind one that fails none is: what it does not come
// up with they would not either, until no master serves.
func (o *Operation) JoinEtcd(ctx context.Context) error {
	blocked, down := "", ""
	for _, name := range o.join.order {
		j := o.join.masters[name]
		member, served := j.wasMember(), machine.HasJoined(j.Member)
		if j.Status.Err == nil {
			j.Status.Err = mustWait(j.Title(), waits{
				blocked: blocked, member: member, down: down, served: served, sourced: o.access.Source != "", fresh: fresh(o.identities), first: o.masters.Order[0], name: name,
			})
		}
		if j.Status.Err != nil {
			continue
		}
		if j.Status.Err = joinEtcd(ctx, o, j); j.Status.Err != nil {
			if !member {
				blocked = name
			}
			if served {
				down = name
			}
			continue
		}
		if o.access.Source == "" {
			o.access.Source = name
		}
		if !served {
			o.join.added = append(o.join.added, name)
			continue
		}
		err := serve(ctx, o, j)
		if j.Settle(err); err != nil {
			down = name
		}
	}
	return nil
}

// waits is what decides whether a master may join etcd now.
type waits struct {
	name string
	// member: an earlier run gave it its place.
	member bool
	// blocked is a master before it that failed to join and is no member; empty is none.
	blocked string
	// served: it has served before. down is a master before it that had, and failed in
	// this run; empty is none.
	served bool
	down   string
	// sourced: a member is known by which the cluster is reached. fresh: none of the
	// hosts had ever heard of the cluster. first is the master that comes first.
	sourced, fresh bool
	first          string
}

// mustWait says why a master must not be begun in this run; nil when it may. Behind one
// that fails to join, those that are no members yet wait: etcd takes in one at a time.
func mustWait(title string, w waits) error {
	if w.blocked != "" && !w.member {
		return fmt.Errorf("%s waits for master %s, which has to join etcd first", title, w.blocked)
	}
	if w.down != "" && w.served {
		return fmt.Errorf("%s waits for master %s, which did not come up", title, w.down)
	}
	if !w.sourced && !w.fresh && w.name != w.first {
		// The first may have the data of the run that was cut: with a second etcd
		// here there would be two clusters.
		return fmt.Errorf("%s waits for master %s, which may hold the cluster's data", title, w.first)
	}
	return nil
}

// found is what an earlier run left of a master's etcd.
type found struct {
	etcd install.Etcd
	// known: it was given its place. joined: it had the data, and a vote. refused: its
	// data is gone or too old, so that it counts for none of both.
	known, joined, refused bool
}

// entry is how a master's etcd comes to be a member.
type entry struct {
	etcd install.Etcd
	// add: the others have to take it in; they tell its members. empty: it has no data.
	add, empty bool
	// votes: it is made a voter once it has the data.
	votes bool
}

// entryOf decides it. source is the member by which the cluster is reached, if there is
// one: without another than this it founds the cluster.
func entryOf(f found, source, name, peerURL string) entry {
	joined := f.joined && !f.refused
	switch {
	case f.known && !f.refused:
		return entry{etcd: f.etcd, votes: f.etcd.Joins && !joined}
	case source == "" || source == name:
		return entry{etcd: install.Etcd{InitialCluster: map[string]string{name: peerURL}}}
	}
	return entry{etcd: install.Etcd{Joins: true}, add: true, empty: !joined, votes: !joined}
}

// joinEtcd gives the master its place among the members and starts its etcd.
func joinEtcd(ctx context.Context, o *Operation, j *joiner) error {
	name, peerURL := j.node.Host.Name, install.PeerURL(j.node.Host)
	changes := join.Changes{Open: o.access.Etcd, Patience: o.NodeTimeout}
	refused := install.RefusedEtcd(j.Files)
	before := found{joined: machine.HasJoined(j.Member), refused: refused != ""}
	before.etcd, before.known = install.EtcdOnHost(j.Files, j.node)
	if before.refused {
		if o.access.Source == "" {
			return fmt.Errorf("%s: its member of etcd does not start, and no other master has the data: restore a snapshot (gantry snapshot restore). %s", j.Title(), refused)
		}
		if err := o.Run(ctx, j.Member, step.Step{Name: "stop etcd", Changes: []step.Change{step.Stop{Units: []string{config.Etcd.Unit()}}}}); err != nil {
			return err
		}
	}
	e := entryOf(before, o.access.Source, name, peerURL)
	if e.add {
		err := o.Run(ctx, j.Member, step.Step{Name: "add to etcd", Changes: []step.Change{step.AddMember{
			Via: changes, Name: name, PeerURL: peerURL, Empty: e.empty, Added: func(members map[string]string) { e.etcd.InitialCluster = members },
		}}})
		if err != nil {
			return err
		}
	}
	j.input.Etcd = e.etcd
	steps, err := install.Rest(j.input)
	if err != nil {
		return err
	}
	steps, start, rest := aroundEtcd(steps)
	j.rest = rest
	if before.refused {
		// The configuration first: without the word that the member is refused, a run
		// that was cut goes by it.
		if err := o.Run(ctx, j.Member, append(slices.Clone(steps), install.ForgetEtcd())...); err != nil {
			return err
		}
	}
	steps = append(steps, start...)
	if e.votes {
		steps = append(steps, step.Step{Name: "vote", Changes: []step.Change{
			install.EtcdRoom(), step.PromoteMember{Via: changes, Name: name, PeerURL: peerURL, Unless: install.JoinedFile},
		}})
	}
	return o.Run(ctx, j.Member, steps...)
}

// aroundEtcd parts the steps: those before its start, the start, and those after it.
func aroundEtcd(steps []step.Step) (before, start, after []step.Step) {
	at := slices.IndexFunc(steps, func(s step.Step) bool { return s.Name == "start "+string(config.Etcd) })
	return slices.Clone(steps[:at]), steps[at : at+1 : at+1], steps[at+1:]
}

// StartNodes starts the other processes of the new masters, on all at once.
func (o *Operation) StartNodes(ctx context.Context) error {
	o.masters.Each(ctx, o.join.added, func(ctx context.Context, m *fleet.Member) error { return serve(ctx, o, o.join.masters[m.Spec.Name]) })
	for _, name := range o.join.order {
		if m := o.masters.Members[name]; m.Status.Err != nil {
			m.Settle(m.Status.Err)
		}
	}
	return nil
}

// serve starts what is left and waits for the Node.
func serve(ctx context.Context, o *Operation, j *joiner) error {
	if err := o.Run(ctx, j.Member, j.rest...); err != nil {
		return err
	}
	api, err := o.access.KubernetesThrough(j.Member, access.APIAddress(j.Spec))
	if err != nil {
		return err
	}
	return o.FinishJoin(ctx, j.Member, j.node, api)
}
