package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-scheduler/framework"
)

// nodeResourcesFit keeps pods off nodes that lack what they ask for, and prefers
// those with the larger free share of CPU and memory (LeastAllocated).
type nodeResourcesFit struct {
	// lacking are the statuses for what a node may lack, by the bits below: a full
	// cluster rejects a pod once per node.
	lacking [1 << 5]*framework.Status
}

const (
	lacksPods = 1 << iota
	lacksCPU
	lacksMemory
	lacksEphemeralStorage
	// unresolvable: the node lacks it even when it is empty.
	unresolvable
	lacksScalar
)

func newNodeResourcesFit() *nodeResourcesFit {
	pl := &nodeResourcesFit{}
	for bits := range pl.lacking {
		pl.lacking[bits] = pl.status(bits, nil)
	}
	return pl
}

func (pl *nodeResourcesFit) status(bits int, more []string) *framework.Status {
	reasons := []string{}
	for i, reason := range []string{"Too many pods", "Insufficient cpu", "Insufficient memory", "Insufficient ephemeral-storage"} {
		if bits&(1<<i) != 0 {
			reasons = append(reasons, reason)
		}
	}
	code := framework.Unschedulable
	if bits&unresolvable != 0 {
		code = framework.UnschedulableAndUnresolvable
	}
	return reject(pl.Name(), code, append(reasons, more...)...)
}

func (*nodeResourcesFit) Name() string { return "NodeResourcesFit" }

func (*nodeResourcesFit) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		{Event: framework.ClusterEvent{Resource: framework.Node, ActionType: framework.Add | framework.UpdateNodeAllocatable}, Hint: nodeHasRoom},
		podEvent(framework.Delete|framework.UpdatePodScaleDown, func(_, old, now *PodInfo) bool {
			return old != nil && (now == nil || lessRequested(now, old))
		}),
	}
}

// nodeHasRoom: the node could take the pod were it empty, and has more of
// something than it had.
func nodeHasRoom(p *PodInfo, old, now any) bool {
	n, _ := now.(*corev1.Node)
	if n == nil {
		return false
	}
	is := newNodeInfo(n.Name)
	is.setNode(n)
	if bits, more := shortage(p, is); bits != 0 || more != nil {
		return false
	}
	before, _ := old.(*corev1.Node)
	if before == nil {
		return true
	}
	for name, q := range n.Status.Allocatable {
		if was := before.Status.Allocatable[name]; q.Cmp(was) > 0 {
			return true
		}
	}
	return false
}

// lessRequested says whether a asks for less than b of something.
func lessRequested(a, b *PodInfo) bool {
	if a.requests.MilliCPU < b.requests.MilliCPU || a.requests.Memory < b.requests.Memory || a.requests.EphemeralStorage < b.requests.EphemeralStorage {
		return true
	}
	for name, n := range b.requests.ScalarResources {
		if a.requests.ScalarResources[name] < n {
			return true
		}
	}
	return false
}

func (pl *nodeResourcesFit) Filter(_ State, p *PodInfo, n *NodeInfo) *framework.Status {
	bits, more := shortage(p, n)
	switch {
	case bits == 0 && more == nil:
		return nil
	case more == nil:
		return pl.lacking[bits]
	}
	return pl.status(bits, more)
}

// shortage is what the node lacks for the pod, as bits and, for other resources, as
// reasons.
func shortage(p *PodInfo, n *NodeInfo) (bits int, more []string) {
	ask, used, has := &p.requests, &n.requested, &n.allocatable
	if int64(len(n.pods)) >= n.allowedPodNumber {
		bits = lacksPods
	}
	bits |= lacks(lacksCPU, ask.MilliCPU, used.MilliCPU, has.MilliCPU) |
		lacks(lacksMemory, ask.Memory, used.Memory, has.Memory) |
		lacks(lacksEphemeralStorage, ask.EphemeralStorage, used.EphemeralStorage, has.EphemeralStorage)
	for name, want := range ask.ScalarResources {
		if lack := lacks(lacksScalar, want, used.ScalarResources[name], has.ScalarResources[name]); lack != 0 {
			more = append(more, "Insufficient "+string(name))
			bits |= lack & unresolvable
		}
	}
	slices.Sort(more)
	return bits, more
}

func lacks(bit int, want, used, allocatable int64) int {
	switch {
	case want <= 0 || want <= allocatable-used:
		return 0
	case want > allocatable:
		return bit | unresolvable
	}
	return bit
}

func (*nodeResourcesFit) Score(_ State, _ *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64) {
	for i, n := range nodes {
		scores[i] = (freeShare(n.allocatable.MilliCPU, n.nonZeroRequested.MilliCPU+p.nonZeroRequests.MilliCPU) +
			freeShare(n.allocatable.Memory, n.nonZeroRequested.Memory+p.nonZeroRequests.Memory)) / 2
	}
}

// freeShare is how much of a capacity is free, 0 to 100.
func freeShare(capacity, used int64) int64 {
	if capacity <= 0 || used >= capacity {
		return 0
	}
	return (capacity - used) * framework.MaxScore / capacity
}
