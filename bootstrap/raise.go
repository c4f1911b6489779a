package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// rising is a master on its way up.
type rising struct {
	*member
	node  spec.Node
	input install.Input
	// rest are the steps once its place in the store is known.
	rest []step.Step
}

// raiseMasters makes the named masters what they should be. What does not depend
// on the others is done on all at once; then they join the store, one voter at a
// time; then their other processes are started, on all new ones at once. A master
// that serves already is gone through to its end before the next is begun: no two
// are restarted at a time.
func (e *Engine) raiseMasters(ctx context.Context, f *fleet, want spec.Cluster, trust install.Authorities, touch []string) {
	up := map[string]*rising{}
	var order []string
	for _, name := range f.order {
		n, ok := want.Master(name)
		if m := f.members[name]; ok && m.host != nil && slices.Contains(touch, name) {
			up[name], order = &rising{member: m, node: n}, append(order, name)
		}
	}
	nodes := map[string]spec.Node{}
	for name, r := range up {
		nodes[name] = r.node
	}
	var s survey
	if f.source != "" {
		// A new master changes what every other should be, so that all are touched:
		// those that serve are looked at all the same, as nothing was changed yet.
		begun := slices.DeleteFunc(slices.Clone(touch), func(name string) bool { return slices.Contains(f.serving, name) })
		s.masters, s.witnesses = except(want.Masters, begun), f.reached(begun...)
		s.nodes = func(ctx context.Context) []corev1.Node { return e.stayingNodes(ctx, f, want.Connection(), trust, nil) }
	}
	e.survey(ctx, f, nodes, s)
	gone := e.releasedOf(ctx, f, want.Connection(), trust)
	f.parallel(ctx, order, func(ctx context.Context, m *member) {
		m.status.Err = e.ground(ctx, up[m.spec.Name], trust, gone)
	})
	joined := e.joinAll(ctx, f, order, up, trust)
	f.each(ctx, joined, func(ctx context.Context, m *member) error { return e.serve(ctx, up[m.spec.Name], trust) })
	for _, name := range order {
		if m := f.members[name]; m.status.Err != nil {
			m.settle(m.status.Err)
		}
	}
}

// ground does on the host all that needs no other master.
func (e *Engine) ground(ctx context.Context, r *rising, trust install.Authorities, gone releases) error {
	if r.refused != nil {
		return r.refused
	}
	var err error
	if r.input, err = e.input(r.member, r.node, r.files, trust, gone); err != nil {
		return err
	}
	steps, err := install.Ground(r.input)
	if err != nil {
		return err
	}
	return e.run(ctx, r.member, steps)
}

// joinAll brings the masters into the store one after the other, and returns
// those that are in it and do not serve yet. Where one fails, those behind it that
// are no members yet wait: a store takes in one at a time.
func (e *Engine) joinAll(ctx context.Context, f *fleet, order []string, up map[string]*rising, trust install.Authorities) []string {
	var joined []string
	blocked := ""
	for _, name := range order {
		r := up[name]
		_, member := install.EtcdOnHost(r.files, r.node)
		if r.status.Err == nil && blocked != "" && !member {
			r.status.Err = fmt.Errorf("%s waits for master %s, which has to join the store first", r.title(), blocked)
		}
		if r.status.Err == nil && f.source == "" && !f.fresh && name != f.order[0] {
			// The first may hold the store of the run that was cut: with another store
			// here there would be two.
			r.status.Err = fmt.Errorf("%s waits for master %s, which may hold the cluster's store", r.title(), f.order[0])
		}
		if r.status.Err != nil {
			continue
		}
		if r.status.Err = e.joinStore(ctx, f, r, trust); r.status.Err != nil {
			if !member {
				blocked = name
			}
			continue
		}
		if f.source == "" {
			f.source = name
		}
		if len(r.files[install.JoinedFile]) == 0 {
			joined = append(joined, name)
			continue
		}
		r.settle(e.serve(ctx, r, trust))
	}
	return joined
}

// joinStore gives the master its place among the members and starts its etcd.
func (e *Engine) joinStore(ctx context.Context, f *fleet, r *rising, trust install.Authorities) error {
	etcd, known := install.EtcdOnHost(r.files, r.node)
	joined := len(r.files[install.JoinedFile]) > 0
	switch {
	case known:
	case f.source == "" || f.source == r.node.Host.Name:
		etcd = install.Etcd{InitialCluster: map[string]string{r.node.Host.Name: install.PeerURL(r.node.Host)}}
	default:
		var err error
		if etcd, err = e.addMember(ctx, f, r.node, trust, !joined); err != nil {
			return err
		}
	}
	r.input.Etcd = etcd
	steps, err := install.Rest(r.input)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(steps, func(s step.Step) bool { return s.Name == "start "+string(config.Etcd) }) + 1
	steps, r.rest = steps[:at:at], steps[at:]
	if etcd.Joins && !joined {
		steps = append(steps, step.Step{Name: "vote", Changes: []step.Change{install.StoreRoom(), promotion{e, f, r.node, trust}}})
	}
	return e.run(ctx, r.member, steps)
}

// serve starts what is left and waits for the Node.
func (e *Engine) serve(ctx context.Context, r *rising, trust install.Authorities) error {
	if err := e.run(ctx, r.member, r.rest); err != nil {
		return err
	}
	api, err := e.apiOf(r.member, []string{apiAddress(r.spec)}, trust)
	if err != nil {
		return err
	}
	if err := e.finish(ctx, r.member, r.node, api); err != nil {
		return err
	}
	return e.run(ctx, r.member, []step.Step{install.Joined(r.node)})
}

// joining is what a worker needs of the cluster.
type joining struct {
	trust install.Authorities
	api   kubernetes.Interface
	gone  releases
	from  bundle.Source // nil is nobody
}

// raiseWorker makes a host a worker. It depends on no other worker.
func (e *Engine) raiseWorker(ctx context.Context, m *member, n spec.Node, j joining) error {
	if m.refused != nil {
		return m.refused
	}
	in, err := e.input(m, n, m.files, j.trust, j.gone)
	if err != nil {
		return err
	}
	in.From = j.from
	steps, err := install.Steps(in)
	if err != nil {
		return err
	}
	if err := e.run(ctx, m, steps); err != nil {
		return err
	}
	if err := e.finish(ctx, m, n, j.api); err != nil {
		return err
	}
	return e.run(ctx, m, []step.Step{install.Joined(n)})
}

// input is what the node's steps are made of, but for its place in the store. It
// signs what the host lacks, and so is made once in a run.
func (e *Engine) input(m *member, n spec.Node, files map[string][]byte, trust install.Authorities, gone releases) (install.Input, error) {
	if e.Bundle == nil {
		return install.Input{}, fmt.Errorf("%s: no bundle is configured", m.title())
	}
	credentials, err := install.Credentials(n, trust, files, e.Now(), gone[n.Host.Name])
	if err != nil {
		return install.Input{}, fmt.Errorf("%s: %w", m.title(), err)
	}
	return install.Input{
		Node: n, Bundle: e.Bundle, Credentials: credentials, Upstreams: install.Upstreams(files), Progress: e.uploadProgress(m),
	}, nil
}

// run observes, plans and runs: only what is pending is done.
func (e *Engine) run(ctx context.Context, m *member, steps []step.Step) error {
	seen, err := step.Observe(ctx, m.host, steps)
	if err != nil {
		return err
	}
	pending := step.Pending(seen, steps)
	return step.Runner{Now: e.Now, Events: e.Events, Journal: true}.Run(ctx, m.host, seen, pending)
}

// finish waits for the Node and gives it what it should have.
func (e *Engine) finish(ctx context.Context, m *member, n spec.Node, api kubernetes.Interface) error {
	if err := e.registerAgain(ctx, m, n, api); err != nil {
		return err
	}
	if err := e.timed(m, "wait for the node", func() error {
		err := e.waitNode(ctx, api, n.Host.Name)
		if err != nil && ctx.Err() == nil {
			err = errors.Join(err, full(ctx, m))
		}
		return err
	}); err != nil {
		return err
	}
	return applyNode(ctx, api, n)
}

// full says that the disk of a host is full, where that can be asked: a container
// runtime that can write nothing is only seen as a node that is not Ready.
func full(ctx context.Context, m *member) error {
	_, err := m.host.Run(ctx, install.AnyRoom())
	var said *host.CommandError
	if errors.As(err, &said) && host.NoSpace(err) {
		return errors.New(strings.TrimSpace(said.Stderr))
	}
	return nil
}

// timed reports what is no step of the host as one.
func (e *Engine) timed(m *member, name string, f func() error) error {
	start := e.Now()
	e.Events(step.Event{Host: m.title(), Step: name, State: step.Began})
	err := f()
	ended := step.Event{Host: m.title(), Step: name, State: step.Done, Took: e.Now().Sub(start)}
	if err != nil {
		err = &step.Error{Host: m.title(), Step: name, Change: "look at the API", Err: err}
		ended.State, ended.Err = step.Failed, err
	}
	e.Events(ended)
	return err
}

// uploadProgress tells every tenth of the upload.
func (e *Engine) uploadProgress(m *member) func(sent, total int64) {
	last := int64(-1)
	return func(sent, total int64) {
		if total == 0 || sent*10/total == last {
			return
		}
		last = sent * 10 / total
		e.Events(step.Event{Host: m.title(), Step: "binaries", State: step.Began, Message: fmt.Sprintf("%d of %d MB sent", sent>>20, total>>20)})
	}
}

// api returns an API client through the source of the fleet: to its own API
// server, and to those that it reaches where that one is down.
func (e *Engine) api(masters *fleet, c spec.Connection, trust install.Authorities) (kubernetes.Interface, error) {
	return e.apiOf(masters.members[masters.source], c.Servers(masters.source), trust)
}

func (e *Engine) apiOf(m *member, servers []string, trust install.Authorities) (kubernetes.Interface, error) {
	pair, err := trust.CA.Issue(pki.Request{CommonName: "gantry-bootstrap", Organizations: []string{config.MastersGroup}, Lifetime: time.Hour}, e.Now())
	if err != nil {
		return nil, err
	}
	return e.API(client.Options{
		Servers: servers, CA: trust.CA.Cert, Cert: pair.Cert, Key: pair.Key,
		UserAgent: "gantry-bootstrap", Dial: m.host.Dial,
	})
}

func (e *Engine) addMember(ctx context.Context, f *fleet, n spec.Node, trust install.Authorities, empty bool) (install.Etcd, error) {
	s, err := e.store(ctx, f, trust)
	if err != nil {
		return install.Etcd{}, err
	}
	defer s.Close()
	initial, err := join.AddLearner(ctx, s, n.Host.Name, install.PeerURL(n.Host), empty)
	return install.Etcd{InitialCluster: initial, Joins: true}, err
}

// promotion is the change after which a joined member votes.
type promotion struct {
	engine *Engine
	fleet  *fleet
	node   spec.Node
	trust  install.Authorities
}

func (p promotion) String() string        { return "promote etcd member " + p.node.Host.Name + " to voter" }
func (p promotion) Watch() step.Watch     { return step.Watch{Files: []string{install.JoinedFile}} }
func (p promotion) Done(s step.Seen) bool { _, ok := s.Files[install.JoinedFile]; return ok }
func (p promotion) Apply(ctx context.Context, _ host.Host, _ step.Seen) error {
	s, err := p.engine.store(ctx, p.fleet, p.trust)
	if err != nil {
		return err
	}
	defer s.Close()
	return join.Promote(ctx, s, p.node.Host.Name, install.PeerURL(p.node.Host), p.engine.NodeTimeout)
}
