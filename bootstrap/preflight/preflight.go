package preflight

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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

// Doubts are what is to be said of servers that Check lets pass: a *Doubt for each,
// by the name of its node.
func Doubts(subjects []Subject) map[string]error {
	out := map[string]error{}
	for _, s := range subjects {
		if !s.Node.Master && !s.Reach.None && len(s.Reach.Unreached) > 0 {
			out[s.Node.Host.Name] = &Doubt{Host: s.Title, Problem: "it does not reach " + strings.Join(s.Reach.Unreached, "; ") +
				": as long as others answer it works, and when they are lost it does not"}
		}
	}
	return out
}

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

// Finding is one thing that stands against a server, and what to do about it.
type Finding struct {
	Problem string
	Remedy  string
	// Err is set where the finding is a failure that callers tell apart.
	Err error
}

func (f Finding) String() string { return f.Problem + ": " + f.Remedy }

// Error is a server with all that stands against it.
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

// Check judges the servers of one operation together. It returns an *Error for
// each that cannot become what it is to be, by the name of its node.
func Check(subjects []Subject, around Surroundings) map[string]error {
	out := map[string]error{}
	for _, s := range subjects {
		var found []Finding
		if s.Identity != nil {
			// Whatever else is found on a server of another cluster is that cluster's.
			if err := install.Check(s.Title, s.Identity, s.Node); err != nil {
				found = []Finding{{Problem: "it belongs to another cluster or is another node", Remedy: err.Error(), Err: err}}
			} else if s.Identity.Pool != s.Node.Pool {
				found = []Finding{{Problem: "it is a node of this cluster already, as " + place(s.Identity.Pool), Remedy: "remove it there first: a server has one place in a cluster"}}
			}
		} else {
			found = slices.Concat(alone(s, around), among(s, subjects, around))
		}
		if len(found) > 0 {
			out[s.Node.Host.Name] = &Error{Host: s.Title, Findings: found}
		}
	}
	return out
}

func place(pool string) string {
	if pool == "" {
		return "a master"
	}
	return "one of pool " + pool
}

// among finds what the server shares with another that it must have alone.
func among(s Subject, all []Subject, around Surroundings) []Finding {
	var out []Finding
	id, name := s.Facts.MachineID, s.Facts.Hostname
	const rename = "give it another with hostnamectl set-hostname"
	const renew = "it was cloned with its identity: remove /etc/machine-id, run systemd-machine-id-setup and reboot"
	for _, o := range all {
		if o.Node.Host.Name == s.Node.Host.Name || o.Identity != nil {
			continue
		}
		if id != "" && id == o.Facts.MachineID {
			out = append(out, Finding{Problem: fmt.Sprintf("it has the machine-id %s of %s", id, o.Title), Remedy: renew})
		}
		if name != "" && name == o.Facts.Hostname {
			out = append(out, Finding{Problem: fmt.Sprintf("it has the hostname %s of %s", name, o.Title), Remedy: rename})
		}
	}
	others := func(have map[string]string, value string) (nodes []string) {
		for _, node := range slices.Sorted(maps.Keys(have)) {
			if value != "" && have[node] == value && node != s.Node.Host.Name {
				nodes = append(nodes, node)
			}
		}
		return nodes
	}
	if ip := around.Addresses[s.Node.Host.Name]; ip != "" && ip != s.Node.Host.IP() {
		out = append(out, Finding{Problem: fmt.Sprintf("the cluster has a node %s already, at %s", s.Node.Host.Name, ip), Remedy: "give it another name, or remove that one first"})
	}
	for _, node := range others(around.Machines, id) {
		out = append(out, Finding{Problem: fmt.Sprintf("it has the machine-id %s of the cluster's node %s", id, node), Remedy: renew})
	}
	for _, node := range others(around.Hostnames, name) {
		out = append(out, Finding{Problem: fmt.Sprintf("it has the hostname %s of the cluster's node %s", name, node), Remedy: rename})
	}
	return out
}

// Skew is how far a host's clock is ahead of the operator's, when it said unix
// (in seconds) to a question asked and answered at these times. What may be the
// way there and back, or a rounded second, is none.
func Skew(asked, answered time.Time, unix int64) time.Duration {
	said := time.Unix(unix, 0)
	switch {
	case unix == 0: // it did not say
		return 0
	case said.After(answered):
		return said.Sub(answered)
	case said.Add(time.Second).Before(asked):
		return said.Add(time.Second).Sub(asked)
	}
	return 0
}
