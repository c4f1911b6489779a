// Package core decides where a pod goes. A [Snapshot] holds the cluster as it is
// known at the beginning of a scheduling cycle; [Profile.Schedule] answers on
// which node a pod is placed, or why on none ([FitError]). It knows no API client,
// no clock and no randomness: ties are broken by a function that is passed in, so
// equal input gives equal placements.
//
// A profile is a list of plugins for each extension point. Each plugin is a file
// under its upstream name, which holds its rule, the reasons and the status code
// with which it rejects a node, and the cluster events after which a pod that it
// rejected is worth another attempt. The extension points, in the order in which
// they run:
//
//	PreFilter   once per pod: what is the same for all nodes, or which nodes count
//	Filter      per node: can it take the pod? The search ends when enough can (see
//	            numFeasibleNodesToFind)
//	PostFilter  when no node can: preemption tries on a [DryRun] what would help
//	Score       the feasible nodes are rated 0–100, weighted, summed
//	Reserve     a node is chosen: take what is not in the snapshot (volumes, devices)
//	Permit      the binding may be delayed or refused
//	PreBind     in the binding cycle: what must be done before the pod is bound
//
// A Snapshot is not safe for concurrent use: the scheduling cycle owns it.
//
// It imports nothing of ours but runtime/pod.
package core
