package admit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// NodeResources rejects pods that ask for more than is left of what the node has, in
// any resource that it counts.
type NodeResources struct{}

// Admit implements Handler.
func (NodeResources) Admit(_ context.Context, a Attributes) *Rejection {
	used := corev1.ResourceList{}
	for _, p := range a.Others {
		for name, q := range pod.Requests(p) {
			sum := used[name]
			sum.Add(q)
			used[name] = sum
		}
	}
	requests := pod.Requests(a.Pod)
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		request, taken := requests[name], used[name]
		capacity, counted := a.Allocatable[name]
		if request.IsZero() || !counted {
			continue
		}
		sum := taken.DeepCopy()
		sum.Add(request)
		if sum.Cmp(capacity) > 0 {
			return insufficient(name, request.String(), taken.String(), capacity.String())
		}
	}
	return nil
}

func insufficient(name corev1.ResourceName, requested, used, capacity string) *Rejection {
	return &Rejection{"OutOf" + string(name), fmt.Sprintf("Node didn't have enough resource: %s, requested: %s, used: %s, capacity: %s", name, requested, used, capacity)}
}
