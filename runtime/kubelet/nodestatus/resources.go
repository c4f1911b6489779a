package nodestatus

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gantry-run/gantry/runtime/kubelet/stats"
	"github.com/gantry-run/gantry/runtime/pod"
)

// ParseReserved reads quantities by the names of resources.
func ParseReserved(reserved map[string]string) (corev1.ResourceList, error) {
	out := corev1.ResourceList{}
	for name, v := range reserved {
		q, err := resource.ParseQuantity(v)
		if err != nil {
			return nil, fmt.Errorf("reserved.%s: %w", name, err)
		}
		out[corev1.ResourceName(name)] = q
	}
	return out, nil
}

// Capacity is what a node on the machine has.
func Capacity(m stats.Machine, maxPods int) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(m.CPUs, resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(m.Memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(m.Disk, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(int64(maxPods), resource.DecimalSI),
	}
}

// Allocatable is the capacity less what is reserved for the server itself.
func Allocatable(capacity, reserved corev1.ResourceList) corev1.ResourceList {
	out := capacity.DeepCopy()
	for name, v := range reserved {
		if q, ok := out[name]; ok {
			q.Sub(v)
			if q.Sign() < 0 {
				q = resource.Quantity{}
			}
			out[name] = q
		}
	}
	return out
}

// resources are what a node has, and what of that is for pods.
type resources struct{ capacity, allocatable corev1.ResourceList }

// on are those of a node: its own, those of device plugins, and extended resources that
// somebody else has written into its status.
// https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/
func (own resources) on(prev corev1.NodeStatus, devices resources) resources {
	out := resources{own.capacity.DeepCopy(), own.allocatable.DeepCopy()}
	for name, q := range prev.Capacity {
		if pod.IsExtendedResource(name) {
			out.capacity[name], out.allocatable[name] = q, q
		}
	}
	maps.Copy(out.capacity, devices.capacity)
	maps.Copy(out.allocatable, devices.allocatable)
	return out
}
