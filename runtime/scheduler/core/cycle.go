package core

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kube-scheduler/framework"
)

// Cycle is the work on one pod: a snapshot that stands still, and what the plugins
// have found out about the pod.
type Cycle struct {
	snapshot *Snapshot
	profile  *Profile
	pod      *PodInfo
	tie      func(n int) int
	states   []State // by plugin
	skipped  []bool  // by plugin: its Filter has nothing to say about this pod
	filters  []at[FilterPlugin]

	only      sets.Set[string]  // the nodes that PreFilter left; nil: all
	others    *framework.Status // of those that it did not leave
	rejected  bool              // PreFilter rejects the pod on all nodes
	evaluated int
}

// newCycle begins with PreFilter.
func newCycle(s *Snapshot, pr *Profile, p *PodInfo, tie func(n int) int) (*Cycle, error) {
	c := &Cycle{snapshot: s, profile: pr, pod: p, tie: tie, states: make([]State, len(pr.plugins)), skipped: make([]bool, len(pr.plugins))}
	return c, c.preFilter()
}

// Pod is the pod that is being scheduled.
func (c *Cycle) Pod() *PodInfo { return c.pod }

// Statuses are the nodes that cannot take the pod, and why. They are there once
// filtering has ended.
func (c *Cycle) Statuses() iter.Seq2[*NodeInfo, *framework.Status] { return c.snapshot.statuses.all() }

func (c *Cycle) preFilter() error {
	var names []string // of the plugins that left some nodes only
	for _, pl := range c.profile.preFilter {
		state, only, status := pl.plugin.PreFilter(c.snapshot, c.pod)
		switch {
		case status.IsSkip():
			c.skipped[pl.index] = true
			continue
		case status.IsRejected():
			c.rejected, c.others = true, status.WithPlugin(pl.plugin.Name())
			return nil
		case !status.IsSuccess():
			return fmt.Errorf("preFilter of %s: %w", pl.plugin.Name(), status.AsError())
		}
		c.states[pl.index] = state
		if only == nil {
			continue
		}
		if c.only != nil {
			only = c.only.Intersection(only)
		}
		c.only, names = only, append(names, pl.plugin.Name())
	}
	if c.only != nil {
		c.others = reject(names[0], framework.UnschedulableAndUnresolvable, fmt.Sprintf("node(s) didn't satisfy plugin(s) [%s]", strings.Join(names, " ")))
	}
	for _, pl := range c.profile.filter {
		if !c.skipped[pl.index] {
			c.filters = append(c.filters, pl)
		}
	}
	return nil
}

// Filter says why a node cannot take the pod, nil when it can: as it is, and with the
// pods that are nominated to it.
func (c *Cycle) Filter(n *NodeInfo) *framework.Status { return c.filter(c.states, n) }

func (c *Cycle) filter(states []State, n *NodeInfo) *framework.Status {
	if len(n.nominated) > 0 {
		if status := c.filterWithNominated(states, n); status != nil {
			return status
		}
	}
	return c.runFilters(states, n)
}

// filterWithNominated filters a node as it will be once the pods nominated to it are
// there: those that do not have to make way for this one. The node must fit without
// them too, since they may never come and the pod may need their company.
func (c *Cycle) filterWithNominated(states []State, n *NodeInfo) *framework.Status {
	var with *NodeInfo
	for _, p := range n.nominated {
		if p.Priority < c.pod.Priority || p.Pod.UID == c.pod.Pod.UID {
			continue
		}
		if with == nil {
			with, states = n.clone(), c.clone(states)
		}
		c.addPod(states, p, with)
	}
	if with == nil {
		return nil
	}
	return c.runFilters(states, with)
}

func (c *Cycle) runFilters(states []State, n *NodeInfo) *framework.Status {
	for i := range c.filters {
		f := &c.filters[i]
		if status := f.plugin.Filter(states[f.index], c.pod, n); status != nil {
			if status.Plugin() == "" {
				status.SetPlugin(f.plugin.Name())
			}
			return status
		}
	}
	return nil
}

// clone copies the states that AddPod and RemovePod change.
func (c *Cycle) clone(states []State) []State {
	out := slices.Clone(states)
	for _, ext := range c.profile.extensions {
		if states[ext.index] != nil {
			out[ext.index] = states[ext.index].Clone()
		}
	}
	return out
}

// addPod adds a pod to copies of a node and of the states.
func (c *Cycle) addPod(states []State, p *PodInfo, n *NodeInfo) {
	n.addPod(p)
	for _, ext := range c.profile.extensions {
		if !c.skipped[ext.index] {
			ext.plugin.AddPod(states[ext.index], c.pod, p, n)
		}
	}
}

func (c *Cycle) removePod(states []State, p *PodInfo, n *NodeInfo) {
	n.removePod(p)
	for _, ext := range c.profile.extensions {
		if !c.skipped[ext.index] {
			ext.plugin.RemovePod(states[ext.index], c.pod, p, n)
		}
	}
}

// unschedulable runs PostFilter until a plugin helps or knows that none can, and says why
// no node takes the pod.
func (c *Cycle) unschedulable(ctx context.Context) error {
	err := newFitError(&c.snapshot.statuses)
	if c.rejected {
		err.PreFilter = c.others.Message()
	}
	if err.NumAllNodes == 0 {
		return err
	}
	for _, pl := range c.profile.postFilter {
		result, status := pl.PostFilter(ctx, c)
		if status.IsError() {
			return fmt.Errorf("postFilter of %s: %w", pl.Name(), status.AsError())
		}
		if status.IsSuccess() || status.Code() == framework.UnschedulableAndUnresolvable {
			err.Result, err.PostFilter = result, status.Reasons()
			return err
		}
		if result != nil {
			err.Result = result
		}
		err.PostFilter = append(err.PostFilter, status.Reasons()...)
	}
	return err
}
