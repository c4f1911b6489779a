package step

import (
	"context"
	"fmt"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Step is one concern of one host, done as a whole or not journalled as done.
type Step struct {
	Name    string
	Changes []Change
}

// Change is one thing that should be so on a host, or in the cluster on its behalf.
// The host that it is applied to is nil then. Applying it twice is the same
// as once.
type Change interface {
	// String says what applying it does, without secrets.
	fmt.Stringer
	// Watch names what Done has to know about the host.
	Watch() Watch
	// Done reports whether the host is so already.
	Done(Seen) bool
	Apply(ctx context.Context, h host.Host, seen Seen) error
}

// Watch is what a change has to know about a host.
type Watch struct {
	Files []string // described by Stat
	Units []string
}

// Seen is what was observed on a host: the input of every decision.
type Seen struct {
	Files map[string]host.FileInfo
	Units map[string]UnitState
}

// UnitState is a unit as systemd has it.
type UnitState struct {
	Loaded      bool
	Active      string // ActiveState
	Enabled     bool
	NeedsReload bool
	// Mark is the digest of the inputs with which it was last started by us.
	Mark string
}

// Running reports whether the unit serves.
func (u UnitState) Running() bool { return u.Active == "active" }

// String is the dry run of a step.
func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", s.Name)
	for _, c := range s.Changes {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	return b.String()
}
