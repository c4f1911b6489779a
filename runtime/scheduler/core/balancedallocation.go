package core

import (
	"math"

	"k8s.io/kube-scheduler/framework"
)

// balancedAllocation prefers nodes whose CPU and memory would be used to like
// shares, so that neither is stranded.
type balancedAllocation struct{}

func (balancedAllocation) Name() string { return "NodeResourcesBalancedAllocation" }

func (balancedAllocation) Score(_ State, _ *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64) {
	for i, n := range nodes {
		if n.allocatable.MilliCPU <= 0 || n.allocatable.Memory <= 0 {
			continue
		}
		cpu := min(1, float64(n.requested.MilliCPU+p.requests.MilliCPU)/float64(n.allocatable.MilliCPU))
		memory := min(1, float64(n.requested.Memory+p.requests.Memory)/float64(n.allocatable.Memory))
		scores[i] = int64((1 - math.Abs(cpu-memory)/2) * float64(framework.MaxNodeScore))
	}
}
