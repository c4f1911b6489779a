package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/uuid"

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
	// serving are those of them that had joined to the end and whose etcd listened.
	serving []string
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
