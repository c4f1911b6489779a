package cm

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

const mi = 1 << 20

func list(cpu, memory string) corev1.ResourceList {
	l := corev1.ResourceList{}
	if cpu != "" {
		l[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		l[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return l
}

func asks(requests, limits corev1.ResourceList) corev1.Container {
	return corev1.Container{Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
}

func sidecar(c corev1.Container) corev1.Container {
	c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	return c
}

func TestPodValues(t *testing.T) {
	main := asks(list("500m", "64Mi"), list("1", "128Mi"))
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want Values
	}{
		"nothing asked": {corev1.PodSpec{Containers: []corev1.Container{asks(nil, nil)}}, Values{CPUShares: 2}},
		"one container": {corev1.PodSpec{Containers: []corev1.Container{main}}, Values{512, 100_000, 100_000, 128 * mi}},
		"two are added": {corev1.PodSpec{Containers: []corev1.Container{main, main}}, Values{1024, 200_000, 100_000, 256 * mi}},
		"one is unlimited": {corev1.PodSpec{Containers: []corev1.Container{main, asks(list("500m", ""), nil)}},
			Values{CPUShares: 1024}},
		"one is unlimited in CPU": {corev1.PodSpec{Containers: []corev1.Container{main, asks(nil, list("", "128Mi"))}},
			Values{CPUShares: 512, MemoryLimit: 256 * mi}},
		"init containers count where they are more": {corev1.PodSpec{
			InitContainers: []corev1.Container{asks(list("2", ""), list("3", "64Mi"))}, Containers: []corev1.Container{main},
		}, Values{2048, 300_000, 100_000, 128 * mi}},
		"sidecars are added": {corev1.PodSpec{
			InitContainers: []corev1.Container{sidecar(main)}, Containers: []corev1.Container{main},
		}, Values{1024, 200_000, 100_000, 256 * mi}},
		"of the pod as a whole": {corev1.PodSpec{
			Containers: []corev1.Container{asks(nil, nil), asks(nil, nil)},
			Resources:  &corev1.ResourceRequirements{Requests: list("50m", "48Mi"), Limits: list("50m", "48Mi")},
		}, Values{51, 5_000, 100_000, 48 * mi}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := podValues(&corev1.Pod{Spec: c.spec}); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// TestContainerResources: the machine has 1 GiB.
func TestContainerResources(t *testing.T) {
	whole := func(memory string) *corev1.ResourceRequirements {
		return &corev1.ResourceRequirements{Requests: list("", memory)}
	}
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want container.Resources
	}{
		"best effort": {corev1.PodSpec{Containers: []corev1.Container{asks(nil, nil)}},
			container.Resources{CPUShares: 2, OOMScoreAdj: 1000}},
		"burstable": {corev1.PodSpec{Containers: []corev1.Container{asks(list("250m", "256Mi"), nil)}},
			container.Resources{CPUShares: 256, OOMScoreAdj: 750}},
		"guaranteed": {corev1.PodSpec{Containers: []corev1.Container{asks(nil, list("1500m", "256Mi"))}},
			container.Resources{CPUShares: 1536, CPUQuota: 150_000, MemoryLimit: 256 * mi, OOMScoreAdj: -997}},
		"a limit stands for the request": {corev1.PodSpec{Containers: []corev1.Container{asks(list("1", ""), list("1", "512Mi"))}},
			container.Resources{CPUShares: 1024, CPUQuota: 100_000, MemoryLimit: 512 * mi, OOMScoreAdj: -997}},
		"a share of what the pod asks for": {corev1.PodSpec{Containers: []corev1.Container{asks(nil, nil), asks(list("", "128Mi"), nil)}, Resources: whole("640Mi")},
			container.Resources{CPUShares: 2, OOMScoreAdj: 750}},
		"containers ask for more than the pod": {corev1.PodSpec{Containers: []corev1.Container{asks(list("", "256Mi"), nil), asks(list("", "512Mi"), nil)}, Resources: whole("512Mi")},
			container.Resources{CPUShares: 2, OOMScoreAdj: 750}},
		"the pod asks for CPU alone": {corev1.PodSpec{Containers: []corev1.Container{asks(list("", "256Mi"), nil)}, Resources: &corev1.ResourceRequirements{Requests: list("1", "")}},
			container.Resources{CPUShares: 2, OOMScoreAdj: 750}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{Spec: c.spec}
			c.want.CPUPeriod, c.want.CgroupPath = 100_000, "at"
			if got := containerResources(p, &p.Spec.Containers[0], "at", 1<<30); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	for qos, want := range map[corev1.PodQOSClass]string{
		corev1.PodQOSGuaranteed: "root/poduid", corev1.PodQOSBurstable: "root/burstable/poduid", corev1.PodQOSBestEffort: "root/besteffort/poduid",
	} {
		p := &corev1.Pod{}
		p.UID, p.Status.QOSClass = "uid", qos
		if got := NewManager("root", 1).Container(p, &corev1.Container{}, "id").CgroupPath; got != want+"/id" {
			t.Errorf("%s: %s, want %s", qos, got, want)
		}
	}
}
