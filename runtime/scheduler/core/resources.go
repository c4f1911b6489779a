package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// Resources is an amount of each resource. CPU is in thousandths of a core,
// memory and ephemeral storage are in bytes.
type Resources struct {
	MilliCPU, Memory, Ephemeral int64
	// Extended holds all others (nil: none).
	Extended map[corev1.ResourceName]int64
}

// What a container that asks for nothing is taken to use when nodes are scored, so
// that such pods spread too.
const (
	assumedMilliCPU = 100
	assumedMemory   = 200 << 20
)

func fromList(list corev1.ResourceList) (r Resources, pods int64) {
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.MilliCPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.Memory = q.Value()
		case corev1.ResourceEphemeralStorage:
			r.Ephemeral = q.Value()
		case corev1.ResourcePods:
			pods = q.Value()
		default:
			if r.Extended == nil {
				r.Extended = map[corev1.ResourceName]int64{}
			}
			r.Extended[name] = q.Value()
		}
	}
	return r, pods
}

// requestsOf is what a pod asks for, init containers and overhead included, and
// what it is taken to use for scoring (CPU and memory only).
func requestsOf(p *corev1.Pod) (asked, assumed Resources) {
	asked, _ = fromList(resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{}))
	assumed = Resources{MilliCPU: asked.MilliCPU, Memory: asked.Memory}
	if missing(p, corev1.ResourceCPU) || missing(p, corev1.ResourceMemory) {
		filled, _ := fromList(resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{
			NonMissingContainerRequests: corev1.ResourceList{
				corev1.ResourceCPU:    *resource.NewMilliQuantity(assumedMilliCPU, resource.DecimalSI),
				corev1.ResourceMemory: *resource.NewQuantity(assumedMemory, resource.BinarySI),
			},
		}))
		assumed = Resources{MilliCPU: filled.MilliCPU, Memory: filled.Memory}
	}
	return asked, assumed
}

func missing(p *corev1.Pod, name corev1.ResourceName) bool {
	for i := range p.Spec.Containers {
		if _, ok := p.Spec.Containers[i].Resources.Requests[name]; !ok {
			return true
		}
	}
	return false
}

// add adds sign × b; sign is 1 or -1.
func (r *Resources) add(b Resources, sign int64) {
	r.MilliCPU += sign * b.MilliCPU
	r.Memory += sign * b.Memory
	r.Ephemeral += sign * b.Ephemeral
	for name, n := range b.Extended {
		if r.Extended == nil {
			r.Extended = map[corev1.ResourceName]int64{}
		}
		r.Extended[name] += sign * n
	}
}
