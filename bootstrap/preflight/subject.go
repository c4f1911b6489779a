package preflight

import (
	"errors"
	"strings"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Subject is one server, and the node that it is to become.
type Subject struct {
	// Title is how messages call it: its name and address.
	Title string
	Node  spec.Node
	// Identity is what an earlier run left on it; nil on one that is new. One that is
	// this node already was judged when it was new, and is not judged again.
	Identity *install.Identity
	Facts    host.Facts
	// Skew is how far its clock is ahead of the operator's; negative when behind.
	Skew time.Duration
	// Reach is empty when it reaches the masters, or was not asked.
	Reach Reach
}

// Reach is what lies between a server and the masters that serve already.
type Reach struct {
	// Unreached are the masters' ports that it does not reach, and why.
	Unreached []string
	// None: it reaches no master.
	None bool
	// Unreaching are the masters that do not reach its etcd, and why.
	Unreaching []string
}

// Doubt is a server that can become a node, and what may go wrong with it.
type Doubt struct {
	Host    string
	Problem string
}

func (d *Doubt) Error() string { return d.Host + ": " + d.Problem }

// Surroundings are what the servers are judged against besides themselves.
type Surroundings struct {
	// Platform that the bundle is for, such as linux/amd64, and its path; empty when
	// none is configured.
	Platform, Bundle string
	// Machines are the machine-ids of the cluster's living Nodes, by name, as far as
	// they are known.
	Machines map[string]string
	// Addresses are those of the same Nodes, and Hostnames what their servers call
	// themselves.
	Addresses, Hostnames map[string]string
}

// Finding is a preflight check that a server fails, and what to do about it.
type Finding struct {
	Problem string
	Remedy  string
	// Err is set where the finding is a failure that callers tell apart.
	Err error
}

func (f Finding) String() string { return f.Problem + ": " + f.Remedy }

// Error is a server with all preflight checks that it fails.
type Error struct {
	Host     string
	Findings []Finding
}

func (e *Error) Error() string {
	out := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		out[i] = f.String()
	}
	return e.Host + " cannot become a node: " + strings.Join(out, "; ")
}

// Unwrap gives errors.As the failures among the findings.
func (e *Error) Unwrap() []error {
	var out []error
	for _, f := range e.Findings {
		if f.Err != nil {
			out = append(out, f.Err)
		}
	}
	return out
}

// Findings are those of an error of Check.
func Findings(err error) []Finding {
	var e *Error
	if errors.As(err, &e) {
		return e.Findings
	}
	return nil
}
