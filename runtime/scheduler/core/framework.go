package core

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kube-scheduler/framework"
)

// Plugin is one rule of placement. A plugin implements the extension points that it
// needs; one value serves all cycles of its profile, so what belongs to one pod is
// kept in a [State].
type Plugin interface {
	// Name is the plugin's name in profiles.
	Name() string
}

// State is what a plugin's PreFilter found out about a pod; the plugin gets it
// again at each later extension point of the same pod.
type State interface {
	// Clone returns a copy that AddPod and RemovePod may change without a change to
	// the original. What they do not change is shared.
	Clone() State
}

// PreFilterPlugin looks at a pod once before its nodes are filtered.
type PreFilterPlugin interface {
	Plugin
	// PreFilter computes what Filter needs. nodes are the only ones worth a look (nil:
	// all are). Status: Skip leaves the plugin's Filter out for this pod; any other
	// than success rejects the pod on all nodes.
	PreFilter(s *Snapshot, p *PodInfo) (state State, nodes sets.Set[string], status *framework.Status)
}

// PreFilterExtensions keep the state right when a pod is taken off a node or put on
// one for the sake of the question what would be then.
type PreFilterExtensions interface {
	AddPod(state State, p, added *PodInfo, n *NodeInfo)
	RemovePod(state State, p, removed *PodInfo, n *NodeInfo)
}

// FilterPlugin says whether a node can take a pod.
type FilterPlugin interface {
	Plugin
	// Filter returns nil when it can. Otherwise Unschedulable when fewer pods on the
	// node would help, UnschedulableAndUnresolvable when they would not. It must look
	// at n and state alone: in a dry run the snapshot is another.
	Filter(state State, p *PodInfo, n *NodeInfo) *framework.Status
}

// PostFilterPlugin tries to make room for a pod that no node can take.
type PostFilterPlugin interface {
	Plugin
	// PostFilter returns success and what is to be done, or Unschedulable with the reason
	// that nothing helps, which the pod is told. A nil result leaves a nomination of the
	// pod as it is.
	PostFilter(ctx context.Context, c *Cycle) (*PostFilterResult, *framework.Status)
}

// PostFilterResult is how a pod gets room that it does not have yet.
type PostFilterResult struct {
	// NominatedNodeName is where it will have room once the victims are gone; if it is
	// empty, there is no such node, and an earlier nomination ends.
	NominatedNodeName string
	// Victims are the pods that must go for it, the most important first.
	Victims []*PodInfo
	// Displaced are the pods whose nomination to the same node ends.
	Displaced []*PodInfo
}

// ScorePlugin rates the nodes that can take a pod.
type ScorePlugin interface {
	Plugin
	// Score sets scores[i], which is 0, to the rating of nodes[i], 0 to
	// [framework.MaxScore], more being better. It is called once per pod with all
	// nodes: what is the same for all is computed once, and ratings can be brought to
	// one scale. state is nil when the plugin has no PreFilter or skipped it.
	Score(state State, s *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64)
}

// ReservePlugin takes for a pod what the snapshot does not account for.
type ReservePlugin interface {
	Plugin
	// Reserve is called once the pod is assumed on the node. If it fails, Unreserve of
	// all reserving plugins is called, once.
	Reserve(ctx context.Context, state State, p *PodInfo, nodeName string) *framework.Status
	// Unreserve gives back what was reserved, if anything was. It is called too when
	// the pod fails at a later point, from the binding cycle.
	Unreserve(ctx context.Context, state State, p *PodInfo, nodeName string)
}

// PermitPlugin allows, delays or refuses the binding of a pod.
type PermitPlugin interface {
	Plugin
	// Permit returns success, a rejection, or Wait with how long the binding may wait
	// for the plugin's permission at most.
	Permit(ctx context.Context, state State, p *PodInfo, nodeName string) (*framework.Status, time.Duration)
}

// PreBindPlugin does what must be done before a pod is bound, in the binding cycle
// and thus beside other pods' scheduling cycles.
type PreBindPlugin interface {
	Plugin
	PreBind(ctx context.Context, state State, p *PodInfo, nodeName string) *framework.Status
}

// PreBindWaiter is a PreBindPlugin that waits for others, for some pods.
type PreBindWaiter interface {
	PreBindPlugin
	// Waits says whether PreBind will, once the pod is reserved.
	Waits(state State) bool
}

// EnqueueExtensions names the events after which a pod that the plugin rejected is
// worth another attempt. The events of a plugin without it are all.
type EnqueueExtensions interface {
	Plugin
	EventsToRegister() []ClusterEventWithHint
}

// reject is the status with which a plugin rejects a node.
func reject(plugin string, code framework.Code, reasons ...string) *framework.Status {
	return framework.NewStatus(code, reasons...).WithPlugin(plugin)
}

// skip is the status by which a PreFilter leaves its plugin's Filter out.
func skip() *framework.Status { return framework.NewStatus(framework.Skip) }
