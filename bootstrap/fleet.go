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
}

func (m *member) title() string { return fmt.Sprintf("%s (%s)", m.spec.Name, m.spec.Address) }

// fleet is the hosts of one operation, a connection to each.
type fleet struct {
	engine  *Engine
	order   []string // by name: the order in which masters are raised
	members map[string]*member
	// source is the master that the authorities were read from.
	source string
	// only, when not nil, are the members that the report is about.
	only []string
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
	f.parallel(ctx, f.order, func(ctx context.Context, m *member) {
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

// connectAny is connect for when one live master is enough: it tries one after
// the other and stops at the first that holds the cluster.
func (e *Engine) connectAny(ctx context.Context, hosts []spec.Host) *fleet {
	f := &fleet{engine: e, members: map[string]*member{}}
	for _, h := range hosts {
		one := e.connect(ctx, []spec.Host{h})
		f.order = append(f.order, h.Name)
		f.members[h.Name] = one.members[h.Name]
		if one.members[h.Name].host != nil {
			break
		}
	}
	return f
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
	var g errgroup.Group
	g.SetLimit(f.engine.Parallelism)
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
	r := Report{Hosts: map[string]Status{}}
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
	f.parallel(ctx, f.order, func(ctx context.Context, m *member) {
		if m.host == nil {
			return
		}
		files, err := m.host.ReadFiles(ctx, install.IdentityFile, install.JoinedFile)
		var id *install.Identity
		if err == nil {
			id, err = install.ReadIdentity(files)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: read its identity: %w", m.title(), err))
			return
		}
		out[m.spec.Name] = id
	})
	return out, errors.Join(errs...)
}

var errNoAuthorities = errors.New("no master that can be reached holds the cluster's authorities")

// authorities reads them from the first reached master of this cluster that
// holds them all.
func (f *fleet) authorities(ctx context.Context, clusterID string) (install.Authorities, error) {
	var errs []error
	for _, name := range f.order {
		m := f.members[name]
		if m.host == nil {
			errs = append(errs, m.status.Err)
			continue
		}
		files, err := m.host.ReadFiles(ctx, append(install.AuthorityFiles(), install.IdentityFile, install.JoinedFile)...)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		id, err := install.ReadIdentity(files)
		if err != nil || id == nil || id.ClusterID != clusterID {
			errs = append(errs, fmt.Errorf("%s is no master of cluster %s", m.title(), clusterID))
			continue
		}
		a, err := install.ReadAuthorities(files)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.title(), err))
			continue
		}
		f.source = name
		return a, nil
	}
	return install.Authorities{}, fmt.Errorf("%w: %w", errNoAuthorities, errors.Join(errs...))
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
