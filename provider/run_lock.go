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
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/runlock"
)

// processLocks are the run locks that one plugin process holds on clusters. To another
// process it is one run, whatever provider instances it has.
type processLocks struct {
	token string // tells the process from any other

	mu  sync.Mutex
	all []*runlock.Keepers
}

func newProcessLocks(token string) *processLocks { return &processLocks{token: token} }

// of makes the locks of one provider instance, which waits for so long for those of
// another run.
func (l *processLocks) of(wait time.Duration) func(connect) *runlock.Keepers {
	return func(c connect) *runlock.Keepers {
		k := runlock.NewKeepers(runlock.Config{Connect: c, Who: whoAmI(), Wait: wait, Token: l.token})
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, k)
		return k
	}
}

// close releases what the process holds.
func (l *processLocks) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.all {
		k.Close()
	}
	l.all = nil
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

// defaultLockTimeout is longer than the lock of a run that was cut off lasts.
const defaultLockTimeout = 20 * time.Second

// lockTimeout is the attribute lock_timeout.
func lockTimeout(v types.String, diags *diag.Diagnostics) time.Duration {
	if v.IsNull() || v.IsUnknown() {
		return defaultLockTimeout
	}
	d, err := time.ParseDuration(v.ValueString())
	if err != nil || d < 0 {
		diags.AddAttributeError(path.Root("lock_timeout"), "Not a duration", "Write it as 20s or 5m; 0s is not to wait at all.")
	}
	return d
}
