package bootstrap

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// raiseMasters makes the named masters what they should be, one after the other:
// members join the store one at a time. They are marked as joined at the end,
// all together: until then a run that was cut can be taken up.
func (e *Engine) raiseMasters(ctx context.Context, f *fleet, want spec.Cluster, trust install.Authorities, touch []string) {
	defer func() {
		f.each(ctx, f.in(Ready), func(ctx context.Context, m *member) error {
			n, _ := want.Master(m.spec.Name)
			return e.run(ctx, m, []step.Step{install.Joined(n)})
		})
	}()
	for _, name := range f.order {
		m := f.members[name]
		if !slices.Contains(touch, name) || m.host == nil {
			continue
		}
		n, ok := want.Master(name)
		if !ok {
			continue
		}
		err := e.raiseMaster(ctx, f, m, n, trust)
		m.settle(err)
		if err == nil && f.source == "" {
			f.source = name
		}
		if f.source == "" && err != nil {
			// The first master holds the only copy of the authorities, maybe in part:
			// with another one in its place there would be two clusters.
			for _, rest := range f.order {
				if r := f.members[rest]; r.status.State == Pending && r.status.Err == nil {
					r.status.Message = fmt.Sprintf("waits for master %s", name)
				}
			}
			return
		}
	}
}

func (e *Engine) raiseMaster(ctx context.Context, f *fleet, m *member, n spec.Node, trust install.Authorities) error {
	files, err := e.lookAt(ctx, m, n)
	if err != nil {
		return err
	}
	etcd, known := install.EtcdOnHost(files, n)
	joined := len(files[install.JoinedFile]) > 0
	switch {
	case known:
	case f.source == "" || f.source == n.Host.Name:
		etcd = install.Etcd{InitialCluster: map[string]string{n.Host.Name: install.PeerURL(n.Host)}}
	default:
		if etcd, err = e.addMember(ctx, f, n, trust); err != nil {
			return err
		}
	}
	steps, err := e.steps(m, n, files, trust, etcd)
	if err != nil {
		return err
	}
	if etcd.Joins && !joined {
		at := slices.IndexFunc(steps, func(s step.Step) bool { return s.Name == "start "+string(config.Etcd) }) + 1
		steps = slices.Insert(steps, at, step.Step{Name: "vote", Changes: []step.Change{promotion{e, f, n, trust}}})
	}
	if err := e.run(ctx, m, steps); err != nil {
		return err
	}
	api, err := e.apiOf(m, trust)
	if err != nil {
		return err
	}
	return e.finish(ctx, m, n, api)
}

// raiseWorker makes a host a worker. It depends on no other worker.
func (e *Engine) raiseWorker(ctx context.Context, m *member, n spec.Node, trust install.Authorities, api kubernetes.Interface) error {
	files, err := e.lookAt(ctx, m, n)
	if err != nil {
		return err
	}
	steps, err := e.steps(m, n, files, trust, install.Etcd{})
	if err != nil {
		return err
	}
	if err := e.run(ctx, m, steps); err != nil {
		return err
	}
	if err := e.finish(ctx, m, n, api); err != nil {
		return err
	}
	return e.run(ctx, m, []step.Step{install.Joined(n)})
}

// lookAt reads the host's files, and refuses a host that cannot be this node.
func (e *Engine) lookAt(ctx context.Context, m *member, n spec.Node) (map[string][]byte, error) {
	files, err := m.host.ReadFiles(ctx, install.Observed(n)...)
	if err != nil {
		return nil, err
	}
	id, err := install.ReadIdentity(files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.title(), err)
	}
	if err := install.Check(m.title(), id, n); err != nil {
		return nil, err
	}
	if id != nil { // it was looked at when it was new
		return files, nil
	}
	facts, err := host.ReadFacts(ctx, m.host)
	if err != nil {
		return nil, err
	}
	return files, e.suits(m, n, facts)
}

// suits refuses a server that could not run a node.
func (e *Engine) suits(m *member, n spec.Node, f host.Facts) error {
	platform := "linux/" + f.Arch
	switch {
	case f.SystemdVersion == 0:
		return fmt.Errorf("%s runs no systemd: processes could not be kept running", m.title())
	case e.Bundle != nil && e.Bundle.Platform != platform:
		return fmt.Errorf("%s is %s, the bundle %s is for %s", m.title(), platform, e.Bundle.Path, e.Bundle.Platform)
	case !slices.Contains(f.Addresses, n.Host.IP()):
		return fmt.Errorf("%s has no address %s (it has %v): give node_ip", m.title(), n.Host.IP(), f.Addresses)
	}
	return nil
}

func (e *Engine) steps(m *member, n spec.Node, files map[string][]byte, trust install.Authorities, etcd install.Etcd) ([]step.Step, error) {
	if e.Bundle == nil {
		return nil, fmt.Errorf("%s: no bundle is configured", m.title())
	}
	credentials, err := install.Credentials(n, trust, files, e.Now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.title(), err)
	}
	steps, err := install.Steps(install.Input{
		Node: n, Bundle: e.Bundle, Credentials: credentials, Etcd: etcd, Upstreams: install.Upstreams(files),
		Progress: e.uploadProgress(m),
	})
	if err != nil {
		return nil, err
	}
	return steps, nil
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

// finish waits for the Node and gives it its labels and taints.
func (e *Engine) finish(ctx context.Context, m *member, n spec.Node, api kubernetes.Interface) error {
	if err := e.timed(m, "wait for the node", func() error { return e.waitNode(ctx, api, n.Host.Name) }); err != nil {
		return err
	}
	return applyNode(ctx, api, n)
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

// api returns an API client through the first reached master.
func (e *Engine) api(masters *fleet, trust install.Authorities) (kubernetes.Interface, error) {
	return e.apiOf(masters.members[masters.source], trust)
}

func (e *Engine) apiOf(m *member, trust install.Authorities) (kubernetes.Interface, error) {
	pair, err := trust.CA.Issue(pki.Request{CommonName: "gantry-bootstrap", Organizations: []string{config.MastersGroup}, Lifetime: time.Hour}, e.Now())
	if err != nil {
		return nil, err
	}
	return e.API(client.Options{
		Servers: []string{apiAddress(m.spec)}, CA: trust.CA.Cert, Cert: pair.Cert, Key: pair.Key,
		UserAgent: "gantry-bootstrap", Dial: m.host.Dial,
	})
}

func (e *Engine) store(f *fleet, trust install.Authorities) (join.Store, error) {
	via := f.members[f.source]
	return e.Store(install.ClientURL(via.spec), trust.EtcdCA, via.host.Dial, e.Now())
}

func (e *Engine) addMember(ctx context.Context, f *fleet, n spec.Node, trust install.Authorities) (install.Etcd, error) {
	s, err := e.store(f, trust)
	if err != nil {
		return install.Etcd{}, err
	}
	defer s.Close()
	initial, err := join.AddLearner(ctx, s, n.Host.Name, install.PeerURL(n.Host))
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
	s, err := p.engine.store(p.fleet, p.trust)
	if err != nil {
		return err
	}
	defer s.Close()
	return join.Promote(ctx, s, p.node.Host.Name, install.PeerURL(p.node.Host))
}
