package core

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"k8s.io/kube-scheduler/framework"
)

// NodeToStatus is why each node cannot take a pod.
type NodeToStatus struct {
	nodes    []*NodeInfo
	statuses []*framework.Status // by node
	others   *framework.Status   // of nodes that were not looked at
}

// reset makes room for the statuses of a cycle.
func (m *NodeToStatus) reset(nodes []*NodeInfo, others *framework.Status) {
	m.nodes, m.others = nodes, others
	m.statuses = slices.Grow(m.statuses[:0], len(nodes))[:len(nodes)]
	clear(m.statuses)
}

// of is why a node cannot take the pod, nil when that is not known.
func (m *NodeToStatus) of(n *NodeInfo) *framework.Status {
	if status := m.statuses[n.index]; status != nil {
		return status
	}
	return m.others
}

func (m *NodeToStatus) all() iter.Seq2[*NodeInfo, *framework.Status] {
	return func(yield func(*NodeInfo, *framework.Status) bool) {
		for _, n := range m.nodes {
			if status := m.of(n); status != nil && !yield(n, status) {
				return
			}
		}
	}
}

// FitError says why no node takes a pod.
type FitError struct {
	NumAllNodes int
	// Reasons count nodes; one node may have several.
	Reasons map[string]int
	// RejectedBy names the plugins that rejected a node: the events that they wait for
	// may help.
	RejectedBy []string
	// PostFilter is what PostFilter plugins had to say.
	PostFilter []string
	// PreFilter is why the pod was rejected on all nodes before any was looked at.
	PreFilter string
	// Result is what PostFilter plugins found; nil: a nomination of the pod stays.
	Result *PostFilterResult
}

func newFitError(statuses *NodeToStatus) *FitError {
	e := &FitError{NumAllNodes: len(statuses.nodes), Reasons: map[string]int{}}
	last := ""
	for _, status := range statuses.all() {
		for _, reason := range status.Reasons() {
			e.Reasons[reason]++
		}
		if plugin := status.Plugin(); plugin != last {
			last = plugin
			if !slices.Contains(e.RejectedBy, plugin) {
				e.RejectedBy = append(e.RejectedBy, plugin)
			}
		}
	}
	slices.Sort(e.RejectedBy)
	return e
}

// Error words it as upstream does, for events and conditions.
func (e *FitError) Error() string {
	if e.NumAllNodes == 0 {
		return "no nodes available to schedule pods"
	}
	parts := make([]string, 0, len(e.Reasons))
	for reason, nodes := range e.Reasons {
		parts = append(parts, fmt.Sprintf("%d %s", nodes, reason))
	}
	slices.Sort(parts)
	reasons := strings.Join(parts, ", ")
	if e.PreFilter != "" {
		reasons = e.PreFilter
	}
	message := fmt.Sprintf("0/%d nodes are available: %s.", e.NumAllNodes, reasons)
	if len(e.PostFilter) > 0 {
		message += " " + strings.Join(e.PostFilter, ", ")
	}
	return message
}
