package judge

import (
	"fmt"
	"time"
)

// completions: a completion of a Job that the API knew as succeeded is not run again.
func completions(pods []Pod) []Violation {
	var out []Violation
	succeeded := map[string]Pod{} // by Job and index
	known := map[string]bool{}
	for _, p := range pods {
		if p.Index == "" {
			continue
		}
		completion := p.Owner + "#" + p.Index
		first, done := succeeded[completion]
		if done && !known[p.UID] && first.UID != p.UID && !p.Gone {
			out = append(out, Violation{"completion", p.At, fmt.Sprintf("completion %s of %s succeeded in pod %s (at %s), and runs again in %s", p.Index, p.Owner, first.Name, first.At, p.Name)})
		}
		known[p.UID] = true
		if p.Phase == "Succeeded" && !done {
			succeeded[completion] = p
		}
	}
	return out
}

// taintEviction is the reason by which a pod tells that its node's taints evict it.
const taintEviction = "DeletionByTaintManager"

// evictions: none of a pod whose node was well, by its lease and its condition, more
// recently than the pod tolerates.
func evictions(pods []Pod, nodes []Node, leases []Lease) []Violation {
	var out []Violation
	judged := map[string]bool{}
	for _, p := range pods {
		if p.Disruption != taintEviction || !p.Deleting || judged[p.UID] {
			continue
		}
		judged[p.UID] = true
		well := lastWell(p, nodes, leases)
		if silent := p.At - well; p.Tolerates < 0 || silent < p.Tolerates {
			out = append(out, Violation{"eviction", p.At, fmt.Sprintf("pod %s (tolerates %s) is evicted from %s, which was silent for %.1f s", p.Name, p.Tolerates, p.Node, silent.Seconds())})
		}
	}
	return out
}

// lastWell is the last time before a pod's eviction at which its node was Ready and
// renewed its lease.
func lastWell(p Pod, nodes []Node, leases []Lease) time.Duration {
	renewed := time.Duration(0)
	for _, l := range leases {
		if l.Namespace == nodeLeases && l.Name == p.Node && l.Renewed <= p.At {
			renewed = max(renewed, l.Renewed)
		}
	}
	ready, since := false, time.Duration(0)
	for _, n := range nodes {
		if n.Name != p.Node || n.At > p.At {
			continue
		}
		if ready && !n.Ready || since == 0 {
			since = n.At
		}
		ready = n.Ready
	}
	if !ready && since < renewed {
		return since // it said itself that it is not well
	}
	return renewed
}
