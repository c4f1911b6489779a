package core

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-scheduler/framework"
)

const noVictims = "No preemption victims found for incoming pod"

// candidate is a node with the pods that would have to go for a pod to find room there.
type candidate struct {
	node       *NodeInfo
	victims    []*PodInfo // at least one; the most important first
	violations int        // victims that a budget protects
}

// selectVictims finds the pods whose going makes room on a node: all of a lower priority
// go, and as many as possible are spared then, those first that a budget protects, and
// the more important before the less.
func selectVictims(c *Cycle, n *NodeInfo) (*candidate, *framework.Status) {
	var potential []*PodInfo
	for p := range n.Pods() {
		if p.Priority < c.pod.Priority {
			potential = append(potential, p)
		}
	}
	if len(potential) == 0 {
		return nil, framework.NewStatus(framework.UnschedulableAndUnresolvable, noVictims)
	}
	dry := c.DryRun()
	for _, p := range potential {
		dry.RemovePod(p, n.name)
	}
	if status := dry.Filter(n.name); !status.IsSuccess() {
		return nil, status
	}
	slices.SortFunc(potential, compareImportance)
	violating := c.snapshot.Budgets.violated(potential)
	found := &candidate{node: n}
	for _, protected := range []bool{true, false} {
		for i, p := range potential {
			if violating[i] != protected {
				continue
			}
			if dry.AddPod(p, n.name); dry.Filter(n.name).IsSuccess() {
				continue // spared
			}
			dry.RemovePod(p, n.name)
			found.victims = append(found.victims, p)
			if protected {
				found.violations++
			}
		}
	}
	if len(found.victims) == 0 { // the node took the pod with all that is there
		return nil, framework.AsStatus(fmt.Errorf("expected at least one victim pod on node %q", n.name))
	}
	slices.SortFunc(found.victims, compareImportance)
	return found, nil
}

// compareImportance orders pods by who gives way last: a higher priority, then whoever
// has run for longer.
func compareImportance(a, b *PodInfo) int {
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority),
		compareStart(a.Pod.Status.StartTime, b.Pod.Status.StartTime),
		cmp.Compare(a.Pod.UID, b.Pod.UID))
}

// compareStart orders times at which pods started. One that has not started yet does so
// after all others.
func compareStart(a, b *metav1.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(b.Time)
}

// compare orders candidates by who is to be chosen: the fewest violated budgets, the
// lowest of the highest priorities, the lowest sum of priorities, the fewest victims,
// and the latest start of the most important ones.
func (a *candidate) compare(b *candidate) int {
	return cmp.Or(
		cmp.Compare(a.violations, b.violations),
		cmp.Compare(a.victims[0].Priority, b.victims[0].Priority),
		cmp.Compare(a.sumOfPriorities(), b.sumOfPriorities()),
		cmp.Compare(len(a.victims), len(b.victims)),
		// They are sorted: the first is the earliest of those with the highest priority.
		compareStart(b.victims[0].Pod.Status.StartTime, a.victims[0].Pod.Status.StartTime))
}

// sumOfPriorities counts from the lowest priority there is: a node does not become
// better by more victims of a negative priority.
func (a *candidate) sumOfPriorities() (sum int64) {
	for _, p := range a.victims {
		sum += int64(p.Priority) - math.MinInt32
	}
	return sum
}
