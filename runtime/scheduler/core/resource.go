package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/gantry-run/gantry/runtime/pod"
)

// Resource is an amount of each resource. CPU is in thousandths of a core,
// memory and ephemeral storage are in bytes.
type Resource struct {
	MilliCPU, Memory, EphemeralStorage int64
	// ScalarResources holds all others (nil: none).
	ScalarResources map[corev1.ResourceName]int64
}

// What a container that asks for nothing is taken to use when nodes are scored, so
// that such pods spread too.
const (
	defaultMilliCPURequest = 100
	defaultMemoryRequest   = 200 << 20
)

// newResource reads a list of quantities; the number of pods is apart.
func newResource(list corev1.ResourceList) (r Resource, pods int64) {
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.MilliCPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.Memory = q.Value()
		case corev1.ResourceEphemeralStorage:
			r.EphemeralStorage = q.Value()
		case corev1.ResourcePods:
			pods = q.Value()
		default:
			if r.ScalarResources == nil {
				r.ScalarResources = map[corev1.ResourceName]int64{}
			}
			r.ScalarResources[name] = q.Value()
		}
	}
	return r, pods
}

// podRequests is what a pod asks for (init containers, sidecars, overhead and
// pod-level resources included) and the CPU and memory that scoring takes it to use.
func podRequests(p *corev1.Pod) (requests, nonZero Resource) {
	requests, _ = newResource(pod.Reserved(p))
	nonZero = Resource{MilliCPU: requests.MilliCPU, Memory: requests.Memory}
	if lacksRequest(p, corev1.ResourceCPU) || lacksRequest(p, corev1.ResourceMemory) {
		filled, _ := newResource(resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{
			NonMissingContainerRequests: corev1.ResourceList{
				corev1.ResourceCPU:    *resource.NewMilliQuantity(defaultMilliCPURequest, resource.DecimalSI),
				corev1.ResourceMemory: *resource.NewQuantity(defaultMemoryRequest, resource.BinarySI),
			},
		}))
		nonZero = Resource{MilliCPU: filled.MilliCPU, Memory: filled.Memory}
	}
	return requests, nonZero
}

func lacksRequest(p *corev1.Pod, name corev1.ResourceName) bool {
	for i := range p.Spec.Containers {
		if _, ok := p.Spec.Containers[i].Resources.Requests[name]; !ok {
			return true
		}
	}
	return false
}

// add adds sign × b; sign is 1 or -1.
func (r *Resource) add(b Resource, sign int64) {
	r.MilliCPU += sign * b.MilliCPU
	r.Memory += sign * b.Memory
	r.EphemeralStorage += sign * b.EphemeralStorage
	for name, n := range b.ScalarResources {
		if r.ScalarResources == nil {
			r.ScalarResources = map[corev1.ResourceName]int64{}
		}
		r.ScalarResources[name] += sign * n
	}
}
