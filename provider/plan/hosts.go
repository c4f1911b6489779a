package plan

import (
	"slices"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
)

// Leaving are the hosts of state that the plan has no more, or has at another address.
func Leaving(state, plan []spec.Host) []spec.Host {
	var out []spec.Host
	for _, old := range state {
		if !slices.ContainsFunc(plan, func(h spec.Host) bool { return h.Name == old.Name && h.Address == old.Address }) {
			out = append(out, old)
		}
	}
	return out
}

// New are the names of hosts that nothing of the cluster is known to be on: the
// preflight of a plan asks no others.
func New(prior map[string]model.HostStatus, hosts []spec.Host) []string {
	var out []string
	for _, h := range hosts {
		old, ok := prior[h.Name]
		if !ok || old.Address.ValueString() != h.Address || old.Is(bootstrap.Pending, bootstrap.Absent) {
			out = append(out, h.Name)
		}
	}
	return out
}

// MasterStays reports whether a master that holds the cluster's state and keys stays
// in the plan; also where none leaves.
func MasterStays(prior map[string]model.HostStatus, state, plan []spec.Host) bool {
	leaving := Names(Leaving(state, plan))
	return len(leaving) == 0 || slices.ContainsFunc(state, func(h spec.Host) bool {
		return !slices.Contains(leaving, h.Name) && !prior[h.Name].Is(bootstrap.Pending, bootstrap.Absent)
	})
}

// Names are those of the hosts, in the same order.
func Names(hosts []spec.Host) []string {
	var out []string
	for _, h := range hosts {
		out = append(out, h.Name)
	}
	return out
}
