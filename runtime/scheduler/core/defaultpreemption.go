package core

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/pod"
)

// Of how many nodes victims are selected before one of the nodes is chosen: a share of
// those where preemption may help, but so many at least.
const (
	minCandidateNodesPercentage = 10
	minCandidateNodesAbsolute   = 100
)

// defaultPreemption makes room for a pod by pods of a lower priority. It finds out what
// has to go; whoever runs the cycle lets it go.
type defaultPreemption struct{}

func (defaultPreemption) Name() string { return "DefaultPreemption" }

func (pl defaultPreemption) PostFilter(_ context.Context, c *Cycle) (*PostFilterResult, *framework.Status) {
	result, status := pl.preempt(c)
	if message := status.Message(); message != "" && !status.IsError() {
		status = framework.NewStatus(status.Code(), "preemption: "+message)
	}
	return result, status
}

func (defaultPreemption) preempt(c *Cycle) (*PostFilterResult, *framework.Status) {
	if reason := ineligibleToPreempt(c); reason != "" {
		return nil, framework.NewStatus(framework.Unschedulable, reason)
	}
	candidates, fit, err := findCandidates(c)
	if len(candidates) == 0 {
		if err != nil {
			return nil, framework.AsStatus(err)
		}
		return &PostFilterResult{}, framework.NewStatus(framework.Unschedulable, fit.Error())
	}
	best := slices.MinFunc(candidates, (*candidate).compare)
	return &PostFilterResult{NominatedNodeName: best.node.name, Victims: best.victims, Displaced: displaced(c.pod, best.node)},
		framework.NewStatus(framework.Success, fmt.Sprintf("found a potential placement for pod on node %s, preempting %d victims", best.node.name, len(best.victims)))
}

// ineligibleToPreempt is why a pod may not preempt: it does not want to, or the room
// that it made on its nominated node is still becoming free.
func ineligibleToPreempt(c *Cycle) string {
	if policy := c.pod.Pod.Spec.PreemptionPolicy; policy != nil && *policy == corev1.PreemptNever {
		return "not eligible due to preemptionPolicy=Never."
	}
	at := c.snapshot.nominated[c.pod.Pod.UID]
	if at == nil || at.node.node == nil || c.snapshot.statuses.of(at.node).Code() == framework.UnschedulableAndUnresolvable {
		return ""
	}
	for p := range at.node.Pods() {
		if p.Priority < c.pod.Priority && terminatingByPreemption(p.Pod) {
			return "not eligible due to a terminating pod on the nominated node."
		}
	}
	return ""
}

func terminatingByPreemption(p *corev1.Pod) bool {
	if p.DeletionTimestamp == nil {
		return false
	}
	d := pod.Condition(&p.Status, corev1.DisruptionTarget)
	return d != nil && d.Status == corev1.ConditionTrue && d.Reason == corev1.PodReasonPreemptionByScheduler
}

// displaced are the pods that are nominated to a node and give way to p: without the
// nomination they find another place sooner.
func displaced(p *PodInfo, n *NodeInfo) []*PodInfo {
	var out []*PodInfo
	for _, other := range n.nominated {
		if other.Priority < p.Priority {
			out = append(out, other)
		}
	}
	return out
}

// findCandidates selects victims on nodes where that may help, from a random one on,
// until there are enough candidates and one of them violates no budget. fit says why
// each node is none.
func findCandidates(c *Cycle) (candidates []*candidate, fit *FitError, err error) {
	const unhelpful = "Preemption is not helpful for scheduling"
	var potential []*NodeInfo
	for n, status := range c.Statuses() {
		if status.Code() == framework.Unschedulable && !c.rejected {
			potential = append(potential, n)
		}
	}
	fit = &FitError{NumAllNodes: len(c.snapshot.nodes), Reasons: map[string]int{}}
	if more := len(c.snapshot.nodes) - len(potential); more > 0 {
		fit.Reasons[unhelpful] = more
	}
	if len(potential) == 0 {
		return nil, fit, nil
	}
	if !c.snapshot.hasPriorityBelow(c.pod.Priority) {
		fit.Reasons[noVictims] += len(potential)
		return nil, fit, nil
	}
	enough := min(max(len(potential)*minCandidateNodesPercentage/100, minCandidateNodesAbsolute), len(potential))
	offset, unviolating := c.tie(len(potential)), 0
	for i := range potential {
		found, status := selectVictims(c, potential[(offset+i)%len(potential)])
		switch {
		case status.IsError():
			err = errors.Join(err, status.AsError())
		case !status.IsSuccess():
			for _, reason := range status.Reasons() {
				fit.Reasons[reason]++
			}
		default:
			candidates = append(candidates, found)
			if found.violations == 0 {
				unviolating++
			}
		}
		if unviolating > 0 && len(candidates) >= enough {
			break
		}
	}
	return candidates, fit, err
}
