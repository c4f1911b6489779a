package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
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
	// doubt is what may go wrong with one that can be a node.
	doubt error
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
	// none has a store.
	source string
	// provisional is set when the source may have no store that answers: it was cut
	// before it had a vote, or its etcd is down.
	provisional bool
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

// reach finds one live master that holds the cluster, and logs in to no more than
// it must: a master that does not answer costs headStart, not a time-out. One whose
// store may not answer is taken when there is no other.
func (e *Engine) reach(ctx context.Context, c spec.Connection) (*fleet, install.Authorities, error) {
	type attempt struct {
		fleet *fleet
		trust install.Authorities
		err   error
	}
	attempts := make(chan attempt, len(c.Masters))
	try := func(h spec.Host) {
		f := e.connect(ctx, []spec.Host{h})
		trust, err := f.authorities(ctx, c.ClusterID)
		if err == nil && f.source == "" {
			err = fmt.Errorf("%w: %s has no store yet", errNoAuthorities, h.Name)
		}
		attempts <- attempt{f, trust, err}
	}
	var errs []error
	var second *attempt
	begun, ended := 0, 0
	for ended < len(c.Masters) {
		if begun == ended { // nobody else is being asked
			go try(c.Masters[begun])
			begun++
		}
		var next <-chan time.Time
		if begun < len(c.Masters) {
			next = time.After(headStart)
		}
		select {
		case <-next:
			go try(c.Masters[begun])
			begun++
		case a := <-attempts:
			ended++
			switch {
			case a.err == nil && !a.fleet.provisional:
				go func() { // those that are still being tried
					for range begun - ended {
						(<-attempts).fleet.close()
					}
				}()
				if second != nil {
					second.fleet.close()
				}
				return a.fleet, a.trust, nil
			case a.err == nil && second == nil:
				second = &a
				continue
			}
			a.fleet.close()
			errs = append(errs, a.err)
		}
	}
	if second != nil {
		return second.fleet, second.trust, nil
	}
	if len(errs) == 0 {
		errs = append(errs, fmt.Errorf("cluster %s: no master is named by which it could be reached", c.ClusterName))
	}
	return nil, install.Authorities{}, errors.Join(errs...)
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
// serves comes before one that was cut while it joined, or whose etcd is down.
func (f *fleet) authorities(ctx context.Context, clusterID string) (install.Authorities, error) {
	var errs []error
	var found *install.Authorities
	provisional := ""
	for _, name := range f.order {
		m := f.members[name]
		if m.host == nil {
			errs = append(errs, m.status.Err)
			continue
		}
		trust, at, err := m.authorities(ctx, clusterID)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if at == serves {
			f.source = name
			return trust, nil
		}
		if at == silent && provisional == "" {
			provisional = name
		}
		if found == nil {
			found = &trust
		}
	}
	if found != nil {
		f.source, f.provisional = provisional, provisional != ""
		return *found, nil
	}
	return install.Authorities{}, fmt.Errorf("%w: %w", errNoAuthorities, errors.Join(errs...))
}

// place is what a master is in the store.
type place int

const (
	outside place = iota
	// silent: it was given its place, and may have no vote yet, of which etcd answers
	// next to nothing, or its etcd is down.
	silent
	// serves: it has a vote, and its etcd listens.
	serves
)

// authorities reads those that the host holds, and what it is in the store.
func (m *member) authorities(ctx context.Context, clusterID string) (install.Authorities, place, error) {
	listens := make(chan bool, 1) // asked beside the files, so that it costs no round trip
	go func() {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := dialWithin(ctx, m.host, net.JoinHostPort(m.spec.IP(), strconv.Itoa(config.EtcdClientPort)))
		if err == nil {
			conn.Close() //nolint:errcheck // nothing was sent
		}
		listens <- err == nil
	}()
	files, err := m.host.ReadFiles(ctx, append(install.AuthorityFiles(), install.IdentityFile, install.KnownFile, install.JoinedFile, config.Etcd.ConfigFile())...)
	if err != nil {
		return install.Authorities{}, outside, err
	}
	id, err := install.ReadIdentity(files)
	if err != nil || id == nil || id.ClusterID != clusterID {
		return install.Authorities{}, outside, fmt.Errorf("%s is no master of cluster %s", m.title(), clusterID)
	}
	trust, err := install.ReadAuthorities(files)
	if err != nil {
		return install.Authorities{}, outside, fmt.Errorf("%s: %w", m.title(), err)
	}
	etcd, given := install.EtcdOnHost(files, spec.Node{ClusterID: clusterID, Host: m.spec})
	switch {
	case !given:
		return trust, outside, nil
	case etcd.Joins && len(files[install.JoinedFile]) == 0: // the first one votes from its start
		return trust, silent, nil
	case !<-listens:
		return trust, silent, nil
	default:
		return trust, serves, nil
	}
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
