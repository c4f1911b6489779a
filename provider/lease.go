package provider

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/runlock"
)

// defaultLeaseTimeout is longer than the lease of a holder that was cut off.
const defaultLeaseTimeout = 20 * time.Second

func leaseTimeoutAttribute() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: "How long an apply waits while another one is at work on the same cluster (default `20s`; `0s`: not at all). " +
		"Then it is refused, with the name of the other one's user and machine, before anything is changed."}
}

func leaseTimeout(v types.String, diags *diag.Diagnostics) time.Duration {
	if v.IsNull() || v.IsUnknown() {
		return defaultLeaseTimeout
	}
	d, err := time.ParseDuration(v.ValueString())
	if err != nil || d < 0 {
		diags.AddAttributeError(path.Root("lease_timeout"), "Not a duration", "Write it as 20s or 5m; 0s is not to wait at all.")
	}
	return d
}

// keepers hold the leases of this run: one for all its resources of a cluster.
func (s *session) keepers() *runlock.Keepers {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		c := bootstrap.Config{Connect: s.dialAlone}
		if s.adapt != nil {
			s.adapt(&c)
		}
		s.lease = runlock.NewKeepers(runlock.Config{Connect: c.Connect, Who: whoAmI(), Wait: s.leaseTimeout, Token: s.leaseToken})
		if s.leases != nil {
			s.leases.add(s.lease)
		}
	}
	return s.lease
}

// whoAmI is how this run is called towards another that meets it.
func whoAmI() string {
	name := cmp.Or(os.Getenv("USER"), "somebody")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	machine, err := os.Hostname()
	if err != nil {
		machine = "an unknown machine"
	}
	return fmt.Sprintf("%s@%s (process %d)", name, machine, os.Getpid())
}

// leases are all that one plugin process holds.
type leases struct {
	mu  sync.Mutex
	all []*runlock.Keepers
}

func (l *leases) add(k *runlock.Keepers) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, k)
}

func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.all {
		k.Close()
	}
	l.all = nil
}

// Open is New for a plugin process: done gives back what it holds when it ends.
// All its provider instances share their leases.
func Open(version string) (factory func() provider.Provider, done func()) {
	held, token := &leases{}, runlock.NewToken()
	return func() provider.Provider {
		return &Provider{version: version, leases: held, leaseToken: token, now: time.Now}
	}, held.close
}

// embedded is the token where many providers come and go in one process, which
// does not end with any of them.
func embedded() string { return fmt.Sprintf("embedded in process %d", os.Getpid()) }
