package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// member is one host of an operation.
type member struct {
	spec   spec.Host
	host   host.Host // nil when it could not be reached
	status Status
	// files are those that the survey found on it; refused is why it can be no node.
	files   map[string][]byte
	refused error
	// taken: of one that leaves, another host has its name in the cluster already.
	// unsure is why that cannot be told.
	taken  bool
	unsure error
	// barred says what keeps it out of the cluster, of one that is let go of.
	barred string
}

func (m *member) title() string { return fmt.Sprintf("%s (%s)", m.spec.Name, m.spec.Address) }

// fleet is the hosts of one operation, a connection to each.
type fleet struct {
	engine  *Engine
	order   []string // by name: the order in which masters are raised
	members map[string]*member
	// source is the master through which the cluster is reached; empty as long as
	// none has a store. stores are all reached masters that had one when the fleet was
	// looked at.
	source string
	stores []string
	// fresh is set when none of the hosts had ever heard of the cluster.
	fresh bool
	// only, when not nil, are the members that the report is about.
	only []string

	mu       sync.Mutex
	warnings []string
}

// connect logs in to all hosts at once. One that cannot be reached is in the
// fleet, with the reason as its status.
func (e *Engine) connect(ctx context.Context, hosts []spec.Host) *fleet {
	f := &fleet{engine: e, members: map[string]*member{}}
	for _, h := range hosts {
		if _, twice := f.members[h.Name]; !twice {
			f.order = append(f.order, h.Name)
		}
		f.members[h.Name] = &member{spec: h, status: Status{State: Unknown}}
	}
	slices.Sort(f.order)
	f.look(ctx, f.order, func(ctx context.Context, m *member) {
		h, err := e.Connect(ctx, m.spec)
		if err != nil {
			m.status = Status{State: Unknown, Message: err.Error(), Err: err}
			return
		}
		m.host = h
		m.status = Status{State: Pending, HostKey: m.spec.SSH.HostKey}
		if k, ok := h.(interface{ HostKey() string }); ok {
			m.status.HostKey = k.HostKey()
		}
	})
	return f
}

// headStart is how long one master may take before the next is tried beside it.
const headStart = time.Second

// first tries n masters in turn until one succeeds. One that does not answer costs
// headStart, not a time-out: then the next is tried beside it. What succeeds too late
// is dropped.
func first[T any](n int, try func(i int) (T, error), drop func(T)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	outcomes := make(chan outcome, n)
	var none T
	if n == 0 {
		return none, errNoMaster
	}
	var errs []error
	begun, ended := 0, 0
	begin := func() {
		i := begun
		begun++
		go func() {
			v, err := try(i)
			outcomes <- outcome{v, err}
		}()
	}
	for ended < n {
		if begun == ended { // nobody else is being asked
			begin()
		}
		var next <-chan time.Time
		if begun < n {
			next = time.After(headStart)
		}
		select {
		case <-next:
			begin()
		case o := <-outcomes:
			ended++
			if o.err == nil {
				go func() { // those that are still being tried
					for range begun - ended {
						if late := <-outcomes; late.err == nil {
							drop(late.value)
						}
					}
				}()
				return o.value, nil
			}
			errs = append(errs, o.err)
		}
	}
	return none, errors.Join(errs...)
}

var errNoMaster = errors.New("no master is named by which the cluster could be reached")

// entry is a master by which the cluster is reached.
type entry struct {
	fleet *fleet
	trust install.Authorities
}

// enter logs in to a master that holds the cluster and has a place in its store.
func (e *Engine) enter(ctx context.Context, c spec.Connection, h spec.Host) (entry, error) {
	f := e.connect(ctx, []spec.Host{h})
	trust, err := f.authorities(ctx, c.ClusterID)
	if err == nil && f.source == "" {
		err = fmt.Errorf("%w: %s has no store yet", errNoAuthorities, h.Name)
	}
	if err != nil {
		f.close()
		return entry{}, err
	}
	return entry{f, trust}, nil
}

// reach finds one live master that holds the cluster, and logs in to no more than
// it must.
func (e *Engine) reach(ctx context.Context, c spec.Connection) (*fleet, install.Authorities, error) {
	found, err := first(len(c.Masters),
		func(i int) (entry, error) { return e.enter(ctx, c, c.Masters[i]) },
		func(late entry) { late.fleet.close() })
	return found.fleet, found.trust, err
}

// control is reach, with an API that answers.
func (e *Engine) control(ctx context.Context, c spec.Connection) (*fleet, install.Authorities, kubernetes.Interface, error) {
	masters, trust, err := e.reach(ctx, c)
	if err != nil {
		return nil, trust, nil, err
	}
	api, err := e.api(masters, c, trust)
	if err == nil {
		_, err = released(ctx, api)
	}
	if err != nil {
		masters.close()
		return nil, trust, nil, err
	}
	return masters, trust, api, nil
}

// connectBoth logs in to the hosts of two fleets at once. A name may be in both.
func (e *Engine) connectBoth(ctx context.Context, one, other []spec.Host) (a, b *fleet) {
	var wg sync.WaitGroup
	wg.Go(func() { a = e.connect(ctx, one) })
	wg.Go(func() { b = e.connect(ctx, other) })
	wg.Wait()
	return a, b
}

func (f *fleet) close() {
	for _, m := range f.members {
		if m.host != nil {
			m.host.Close() //nolint:errcheck // the work is done or has failed already
		}
	}
}

// parallel calls do for each of the named members, a bounded number at a time.
func (f *fleet) parallel(ctx context.Context, names []string, do func(context.Context, *member)) {
	f.bounded(ctx, f.engine.width(len(names)), names, do)
}

// lookers is how many hosts are looked at in place of each one that is worked on:
// that costs a few round trips and little else.
const lookers = 8

// look does the same for what changes nothing.
func (f *fleet) look(ctx context.Context, names []string, do func(context.Context, *member)) {
	f.bounded(ctx, lookers*f.engine.width(len(names)), names, do)
}

func (f *fleet) bounded(ctx context.Context, limit int, names []string, do func(context.Context, *member)) {
	var g errgroup.Group
	g.SetLimit(limit)
	for _, name := range names {
		if m := f.members[name]; m != nil {
			g.Go(func() error { do(ctx, m); return nil })
		}
	}
	g.Wait() //nolint:errcheck // none is returned
}

// each works on the named members that are reached, and keeps each one's failure
// as its status.
func (f *fleet) each(ctx context.Context, names []string, do func(context.Context, *member) error) {
	f.parallel(ctx, names, func(ctx context.Context, m *member) {
		if m.host != nil {
			m.settle(do(ctx, m))
		}
	})
}

func (m *member) settle(err error) {
	if err == nil {
		if m.status.State != Gone {
			m.status.State, m.status.Message, m.status.Err = Ready, "", nil
		}
		return
	}
	m.status.State, m.status.Message, m.status.Err = Pending, err.Error(), err
}

// in returns the members in a state.
func (f *fleet) in(s State) []string {
	return slices.DeleteFunc(slices.Clone(f.order), func(name string) bool { return f.members[name].status.State != s })
}

func (f *fleet) errors() error {
	var errs []error
	for _, name := range f.order {
		if m := f.members[name]; m != nil && m.status.Err != nil {
			errs = append(errs, m.status.Err)
		}
	}
	return errors.Join(errs...)
}

func (f *fleet) report() Report {
	r := Report{Hosts: map[string]Status{}, Warnings: f.warnings}
	for _, name := range f.order {
		if m := f.members[name]; m != nil && (f.only == nil || slices.Contains(f.only, name)) {
			r.Hosts[name] = m.status
		}
	}
	return r
}

// identities reads which cluster each reached host belongs to.
func (f *fleet) identities(ctx context.Context) (map[string]*install.Identity, error) {
	var mu sync.Mutex
	var errs []error
	out := map[string]*install.Identity{}
	f.look(ctx, f.order, func(ctx context.Context, m *member) {
		if m.host == nil {
			return
		}
		files, err := m.host.ReadFiles(ctx, install.IdentityFile, install.KnownFile)
		var id *install.Identity
		if err == nil {
			id, err = install.ReadIdentity(files)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			err = fmt.Errorf("%s: read its identity: %w", m.title(), err)
			m.settle(err)
			errs = append(errs, err)
			return
		}
		out[m.spec.Name] = id
	})
	return out, errors.Join(errs...)
}

var errNoAuthorities = errors.New("no master that can be reached holds the cluster's authorities")

// authorities reads them from a reached master of this cluster that holds them
// all: one that is in the store, if there is one, which becomes the source. One that
// serves goes before one that may only have begun to join: its etcd answers nobody.
func (f *fleet) authorities(ctx context.Context, clusterID string) (install.Authorities, error) {
	var mu sync.Mutex
	found, failed := map[string]holding{}, map[string]error{}
	f.look(ctx, f.order, func(ctx context.Context, m *member) {
		held, err := holding{}, m.status.Err
		if m.host != nil {
			held, err = m.holding(ctx, clusterID)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed[m.spec.Name] = err
		} else {
			found[m.spec.Name] = held
		}
	})
	var serving, joining, others []string
	var errs []error
	for _, name := range f.order {
		held, ok := found[name]
		switch {
		case !ok:
			errs = append(errs, failed[name])
		case held.serves:
			serving = append(serving, name)
		case held.inStore:
			joining = append(joining, name)
		default:
			others = append(others, name)
		}
	}
	f.stores = append(serving, joining...)
	all := append(f.stores[:len(f.stores):len(f.stores)], others...)
	if len(all) == 0 {
		return install.Authorities{}, fmt.Errorf("%w: %w", errNoAuthorities, errors.Join(errs...))
	}
	if len(f.stores) > 0 {
		f.source = f.stores[0]
	}
	return found[all[0]].trust, nil
}

// holding is what a master has of its cluster.
type holding struct {
	trust install.Authorities
	// inStore: it has a place in the store. serves: it has joined to the end.
	inStore, serves bool
}

func (m *member) holding(ctx context.Context, clusterID string) (holding, error) {
	files, err := m.host.ReadFiles(ctx, append(install.AuthorityFiles(), install.IdentityFile, install.KnownFile, install.JoinedFile, config.Etcd.ConfigFile())...)
	if err != nil {
		return holding{}, err
	}
	id, err := install.ReadIdentity(files)
	if err != nil || id == nil || id.ClusterID != clusterID {
		return holding{}, fmt.Errorf("%s is no master of cluster %s", m.title(), clusterID)
	}
	trust, err := install.ReadAuthorities(files)
	if err != nil {
		return holding{}, fmt.Errorf("%s: %w", m.title(), err)
	}
	_, inStore := install.EtcdOnHost(files, spec.Node{ClusterID: clusterID, Host: m.spec})
	return holding{trust: trust, inStore: inStore, serves: inStore && len(files[install.JoinedFile]) > 0}, nil
}

// store opens the store through the source or, where its etcd does not answer,
// through another master that has one.
func (e *Engine) store(ctx context.Context, f *fleet, trust install.Authorities) (join.Store, error) {
	open := func(name string) (join.Store, error) {
		m := f.members[name]
		return e.Store(install.ClientURL(m.spec), trust.EtcdCA, m.host.Dial, e.Now())
	}
	ways := append([]string{f.source}, slices.DeleteFunc(slices.Clone(f.stores), func(name string) bool { return name == f.source })...)
	if len(ways) == 1 {
		return open(f.source)
	}
	return first(len(ways), func(i int) (join.Store, error) {
		s, err := open(ways[i])
		if err != nil {
			return nil, err
		}
		if _, err := s.MemberList(ctx); err != nil {
			s.Close() //nolint:errcheck // it did not work anyway
			return nil, fmt.Errorf("list etcd members through %s: %w", f.members[ways[i]].title(), err)
		}
		return s, nil
	}, func(late join.Store) { late.Close() }) //nolint:errcheck // nothing was done by it
}

// know marks the reached masters of this cluster as kept in a state.
func (f *fleet) know(ctx context.Context, clusterID string) {
	f.parallel(ctx, f.order, func(ctx context.Context, m *member) {
		if m.host == nil {
			return
		}
		files, err := m.host.ReadFiles(ctx, install.IdentityFile, install.KnownFile)
		if err != nil {
			return
		}
		if id, err := install.ReadIdentity(files); err == nil && id != nil && id.ClusterID == clusterID {
			m.know(ctx, *id)
		}
	})
}

// know marks a master as kept in a state: to come with its cluster's ID is to have
// kept it. A host that cannot be marked now is marked another time.
func (m *member) know(ctx context.Context, id install.Identity) {
	if !id.Known {
		m.host.WriteFiles(ctx, host.File(install.Known(id.ClusterID))) //nolint:errcheck // see above
	}
}

// adopt takes members of another fleet into the report, but for names of its own.
func (f *fleet) adopt(other *fleet) {
	for _, name := range other.order {
		if _, own := f.members[name]; !own {
			f.order = append(f.order, name)
			f.members[name] = &member{spec: other.members[name].spec, status: other.members[name].status}
		}
	}
	f.warnings = append(f.warnings, other.warnings...)
}

// warn adds a warning to the report.
func (f *fleet) warn(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warnings = append(f.warnings, fmt.Sprintf(format, args...))
}

func names(hosts []spec.Host) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = h.Name
	}
	return out
}

func pick(hosts []spec.Host, wanted []string) []spec.Host {
	var out []spec.Host
	for _, h := range hosts {
		if slices.Contains(wanted, h.Name) {
			out = append(out, h)
		}
	}
	return out
}

func newUUID() string { return string(uuid.NewUUID()) }

// apiAddress is where a master serves the API.
func apiAddress(h spec.Host) string { return fmt.Sprintf("%s:%d", h.IP(), config.APIServerPort) }

// isNew reports whether the survey found a host that has never joined.
func (f *fleet) isNew(name string) bool {
	m := f.members[name]
	return m != nil && m.host != nil && m.refused == nil && len(m.files[install.JoinedFile]) == 0
}
