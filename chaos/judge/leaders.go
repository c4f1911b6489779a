package judge

import "fmt"

// Namespaces of leases.
const (
	nodeLeases   = "kube-node-lease"
	leaderLeases = "kube-system"
)

// leaders: who takes over a leader's lease waited until it was over or given back.
func leaders(leases []Lease) []Violation {
	var out []Violation
	held := map[string]Lease{}
	for _, l := range leases {
		if l.Namespace != leaderLeases {
			continue
		}
		before, known := held[l.Name]
		held[l.Name] = l
		if !known || before.Holder == "" || l.Holder == "" || before.Holder == l.Holder {
			continue
		}
		if ends := before.Renewed + before.Lasts; l.Acquired < ends {
			out = append(out, Violation{"leader", l.At, fmt.Sprintf("%s: %s took over at %s from %s, whose lease ends at %s", l.Name, l.Holder, l.Acquired, before.Holder, ends)})
		}
	}
	return out
}
