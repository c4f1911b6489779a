package container

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Compute is what of the requests and limits of a container its cgroup has: CPU in
// thousandths, memory in bytes, 0 for none. A resize changes it while the container runs.
type Compute struct {
	// Known is false of a container whose version did not record them.
	Known                      bool
	CPURequest, CPULimit       int64
	MemoryRequest, MemoryLimit int64
}

// ComputeOf are those of requirements.
func ComputeOf(r corev1.ResourceRequirements) Compute {
	return Compute{
		Known:      true,
		CPURequest: r.Requests.Cpu().MilliValue(), CPULimit: r.Limits.Cpu().MilliValue(),
		MemoryRequest: r.Requests.Memory().Value(), MemoryLimit: r.Limits.Memory().Value(),
	}
}

// computeText is how they are kept with a container.
const computeText = "cpu=%d/%d memory=%d/%d"

// String is what ParseCompute reads; "" of what is not known.
func (c Compute) String() string {
	if !c.Known {
		return ""
	}
	return fmt.Sprintf(computeText, c.CPURequest, c.CPULimit, c.MemoryRequest, c.MemoryLimit)
}

// ParseCompute reads what String wrote. Anything else is not known.
func ParseCompute(s string) Compute {
	c := Compute{Known: true}
	if _, err := fmt.Sscanf(s, computeText, &c.CPURequest, &c.CPULimit, &c.MemoryRequest, &c.MemoryLimit); err != nil || c.String() != s {
		return Compute{}
	}
	return c
}

// In returns the requirements of a container with these in place of its own, where they
// are others. What the requirements do not name is not added.
func (c Compute) In(r corev1.ResourceRequirements) corev1.ResourceRequirements {
	own := ComputeOf(r)
	if !c.Known || c == own {
		return r
	}
	out := *r.DeepCopy()
	for _, v := range []struct {
		list     corev1.ResourceList
		name     corev1.ResourceName
		has, own int64
	}{
		{out.Requests, corev1.ResourceCPU, c.CPURequest, own.CPURequest}, {out.Limits, corev1.ResourceCPU, c.CPULimit, own.CPULimit},
		{out.Requests, corev1.ResourceMemory, c.MemoryRequest, own.MemoryRequest}, {out.Limits, corev1.ResourceMemory, c.MemoryLimit, own.MemoryLimit},
	} {
		_, named := v.list[v.name]
		switch {
		case !named || v.has == v.own:
		case v.has == 0:
			delete(v.list, v.name)
		case v.name == corev1.ResourceCPU:
			v.list[v.name] = *resource.NewMilliQuantity(v.has, resource.DecimalSI)
		default:
			v.list[v.name] = *resource.NewQuantity(v.has, resource.BinarySI)
		}
	}
	return out
}
