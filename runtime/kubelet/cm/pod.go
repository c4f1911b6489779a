package cm

import (
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// podPath is a pod's cgroup relative to the hierarchies' roots.
func podPath(root string, qos corev1.PodQOSClass, uid string) string {
	if qos == corev1.PodQOSGuaranteed {
		return filepath.Join(root, "pod"+uid)
	}
	return filepath.Join(root, strings.ToLower(string(qos)), "pod"+uid)
}

// podValues are those of a pod's cgroup: what the pod as a whole requests and is
// limited to, by its own resources or by those of its containers.
func podValues(p *corev1.Pod) Values {
	requests, limits := pod.Requests(p), pod.Limits(p)
	v := Values{CPUShares: Shares(requests.Cpu().MilliValue())}
	if pod.Limited(p, corev1.ResourceCPU) {
		v.CPUQuota, v.CPUPeriod = Quota(limits.Cpu().MilliValue()), QuotaPeriod
	}
	if pod.Limited(p, corev1.ResourceMemory) {
		v.MemoryLimit = limits.Memory().Value()
	}
	return v
}

// containerResources are those of a container in its pod's cgroup at path. memory is
// what the machine has, in bytes.
func containerResources(p *corev1.Pod, c *corev1.Container, path string, memory int64) container.Resources {
	limits := c.Resources.Limits
	qos := pod.QOSClass(p)
	return container.Resources{
		CgroupPath: path,
		CPUShares:  Shares(request(c, corev1.ResourceCPU).MilliValue()),
		CPUQuota:   Quota(limits.Cpu().MilliValue()), CPUPeriod: QuotaPeriod,
		MemoryLimit: limits.Memory().Value(),
		OOMScoreAdj: OOMScoreAdj(qos == corev1.PodQOSGuaranteed, qos == corev1.PodQOSBestEffort, memoryShare(p, c), memory),
	}
}

// request is what a container asks for; one that only has a limit asks for that.
func request(c *corev1.Container, name corev1.ResourceName) *resource.Quantity {
	if q, ok := c.Resources.Requests[name]; ok {
		return &q
	}
	q := c.Resources.Limits[name]
	return &q
}

// memoryShare is the memory that a container asks for, in bytes. What the pod as a whole
// asks for beyond its containers is shared among them evenly, so that they are not
// the first that the kernel kills.
func memoryShare(p *corev1.Pod, c *corev1.Container) int64 {
	own := request(c, corev1.ResourceMemory).Value()
	if p.Spec.Resources == nil || len(p.Spec.Containers) == 0 {
		return own
	}
	whole, ok := p.Spec.Resources.Requests[corev1.ResourceMemory]
	if !ok {
		return own
	}
	left := whole.Value()
	for i := range p.Spec.Containers {
		left -= request(&p.Spec.Containers[i], corev1.ResourceMemory).Value()
	}
	return own + max(left, 0)/int64(len(p.Spec.Containers))
}
