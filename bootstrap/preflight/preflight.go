package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gantry-run/gantry/bootstrap/install"
)

// Doubts are what is to be said of servers that Check lets pass: a *Doubt for each,
// by the name of its node.
func Doubts(subjects []Subject) map[string]error {
	out := map[string]error{}
	for _, s := range subjects {
		var problems []string
		if !s.Node.Master && !s.Reach.None && len(s.Reach.Unreached) > 0 {
			problems = append(problems, "it does not reach "+strings.Join(s.Reach.Unreached, "; ")+
				": as long as others answer it works, and when they are lost it does not")
		}
		if problem := storageDoubt(s); problem != "" {
			problems = append(problems, problem)
		}
		if len(problems) > 0 {
			out[s.Node.Host.Name] = &Doubt{Host: s.Title, Problem: strings.Join(problems, "; ")}
		}
	}
	return out
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
