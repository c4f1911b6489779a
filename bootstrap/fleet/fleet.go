package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Fleet is the hosts of one operation, a connection to each.
type Fleet struct {
	Order   []string // by name: the order in which masters are gone through
	Members map[string]*Member
	// Only, when not nil, are the members that the report is about.
	Only []string

	config   Config
	mu       sync.Mutex
	warnings []string
	ending   []string
}

// Connect logs in to all hosts at once. One that cannot be reached is in the
// fleet, with the reason as its status.
func Connect(ctx context.Context, c Config, hosts []spec.Host) *Fleet {
	f := &Fleet{config: c, Members: map[string]*Member{}}
	for _, h := range hosts {
		if _, twice := f.Members[h.Name]; !twice {
			f.Order = append(f.Order, h.Name)
		}
		f.Members[h.Name] = &Member{Spec: h, Status: Status{State: Unknown}}
	}
	slices.Sort(f.Order)
	f.Look(ctx, f.Order, func(ctx context.Context, m *Member) {
		h, err := c.Connect(ctx, m.Spec)
		if err != nil {
			m.Status = Status{State: Unknown, Message: err.Error(), Err: err}
			return
		}
		m.Host = h
		m.Status = Status{State: Pending, HostKey: m.Spec.SSH.HostKey}
		if k, ok := h.(interface{ HostKey() string }); ok {
			m.Status.HostKey = k.HostKey()
		}
	})
	return f
}

// ConnectBoth logs in to the hosts of two fleets at once. A name may be in both.
func ConnectBoth(ctx context.Context, c Config, one, other []spec.Host) (a, b *Fleet) {
	var wg sync.WaitGroup
	wg.Go(func() { a = Connect(ctx, c, one) })
	wg.Go(func() { b = Connect(ctx, c, other) })
	wg.Wait()
	return a, b
}

// Close ends the connections.
func (f *Fleet) Close() {
	for _, m := range f.Members {
		if m.Host != nil {
			m.Host.Close() // the work is done or has failed already
		}
	}
}

// Parallel calls do for each of the named members, a bounded number at a time.
func (f *Fleet) Parallel(ctx context.Context, names []string, do func(context.Context, *Member)) {
	f.bounded(ctx, f.config.width(len(names)), names, do)
}

// lookers is how many hosts are looked at in place of each one that is worked on:
// that costs a few round trips and little else.
const lookers = 8

// Look does the same for what changes nothing.
func (f *Fleet) Look(ctx context.Context, names []string, do func(context.Context, *Member)) {
	f.bounded(ctx, lookers*f.config.width(len(names)), names, do)
}

func (f *Fleet) bounded(ctx context.Context, limit int, names []string, do func(context.Context, *Member)) {
	var g errgroup.Group
	g.SetLimit(limit)
	for _, name := range names {
		if m := f.Members[name]; m != nil {
			g.Go(func() error { do(ctx, m); return nil })
		}
	}
	g.Wait() //nolint:errcheck // none is returned
}

// Each works on the named members that are reached, and keeps each one's failure
// as its status.
func (f *Fleet) Each(ctx context.Context, names []string, do func(context.Context, *Member) error) {
	f.Parallel(ctx, names, func(ctx context.Context, m *Member) {
		if m.Host != nil {
			m.Settle(do(ctx, m))
		}
	})
}

// In returns the members in a state.
func (f *Fleet) In(s State) []string {
	return slices.DeleteFunc(slices.Clone(f.Order), func(name string) bool { return f.Members[name].Status.State != s })
}

// Reached are the members that are logged in to.
func (f *Fleet) Reached(but ...string) []*Member {
	var out []*Member
	for _, name := range f.Order {
		if m := f.Members[name]; m.Host != nil && !slices.Contains(but, name) {
			out = append(out, m)
		}
	}
	return out
}

// Err joins the failures of the members.
func (f *Fleet) Err() error {
	var errs []error
	for _, name := range f.Order {
		if m := f.Members[name]; m != nil && m.Status.Err != nil {
			errs = append(errs, m.Status.Err)
		}
	}
	return errors.Join(errs...)
}

// Report says how the members stand.
func (f *Fleet) Report() Report {
	r := Report{Hosts: map[string]Status{}, Warnings: f.warnings, Ending: f.ending}
	for _, name := range f.Order {
		if m := f.Members[name]; m != nil && (f.Only == nil || slices.Contains(f.Only, name)) {
			r.Hosts[name] = m.Status
		}
	}
	return r
}

// Include takes members of another fleet into the report, but for names of its own.
func (f *Fleet) Include(other *Fleet) {
	for _, name := range other.Order {
		if _, own := f.Members[name]; !own {
			f.Order = append(f.Order, name)
			f.Members[name] = &Member{Spec: other.Members[name].Spec, Status: other.Members[name].Status}
		}
	}
	f.warnings = append(f.warnings, other.warnings...)
}

// Ends adds a certificate that ends soon to the report, once.
func (f *Fleet) Ends(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.ending, what) {
		f.ending = append(f.ending, what)
		slices.Sort(f.ending)
	}
}

// Warn adds a warning to the report.
func (f *Fleet) Warn(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warnings = append(f.warnings, fmt.Sprintf(format, args...))
}

// Names are those of the hosts.
func Names(hosts []spec.Host) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = h.Name
	}
	return out
}

// Pick returns the hosts of these names.
func Pick(hosts []spec.Host, names []string) []spec.Host {
	var out []spec.Host
	for _, h := range hosts {
		if slices.Contains(names, h.Name) {
			out = append(out, h)
		}
	}
	return out
}

// Except returns the hosts of other names.
func Except(hosts []spec.Host, names []string) []spec.Host {
	return slices.DeleteFunc(slices.Clone(hosts), func(h spec.Host) bool { return slices.Contains(names, h.Name) })
}
