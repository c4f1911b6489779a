package core

import (
	"k8s.io/kube-scheduler/framework"
)

// DryRun is the snapshot as a cycle's pod would find it if other pods went or came.
// It copies only the nodes that it touches, and is thrown away.
type DryRun struct {
	cycle  *Cycle
	states []State
	nodes  map[string]*NodeInfo // touched
}

// DryRun begins with the snapshot as it is.
func (c *Cycle) DryRun() *DryRun {
	return &DryRun{cycle: c, states: c.clone(c.states), nodes: map[string]*NodeInfo{}}
}

// Node is the node as it would be, nil when there is no such node.
func (d *DryRun) Node(name string) *NodeInfo {
	if n := d.nodes[name]; n != nil {
		return n
	}
	return d.cycle.snapshot.Node(name)
}

// touch returns a node that may be changed.
func (d *DryRun) touch(name string) *NodeInfo {
	n := d.nodes[name]
	if n == nil {
		if n = d.cycle.snapshot.Node(name); n == nil {
			return nil
		}
		n = n.clone()
		d.nodes[name] = n
	}
	return n
}

// RemovePod takes a pod off a node; one that is not there is no matter.
func (d *DryRun) RemovePod(p *PodInfo, nodeName string) {
	if n := d.touch(nodeName); n != nil && n.pods[p.Pod.UID] != nil {
		d.cycle.removePod(d.states, p, n)
	}
}

// AddPod puts a pod that is on no node on one, as when it turns out that it need not go.
func (d *DryRun) AddPod(p *PodInfo, nodeName string) {
	if n := d.touch(nodeName); n != nil && n.pods[p.Pod.UID] == nil {
		d.cycle.addPod(d.states, p, n)
	}
}

// Filter says why the node could not take the cycle's pod, nil when it could.
func (d *DryRun) Filter(nodeName string) *framework.Status {
	n := d.Node(nodeName)
	if n == nil {
		return framework.NewStatus(framework.UnschedulableAndUnresolvable, "node(s) not found")
	}
	return d.cycle.filter(d.states, n)
}
