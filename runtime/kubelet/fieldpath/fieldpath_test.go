package fieldpath

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestField(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n", ServiceAccountName: "sa"}}
	p.Name, p.Namespace, p.UID = "p", "ns", "u"
	p.Labels, p.Annotations = map[string]string{"b": "2", "a": "x y", "k.io/c": "3"}, map[string]string{"n": "1"}
	s := &corev1.PodStatus{
		HostIP: "1.1.1.1", PodIP: "2.2.2.2", HostIPs: []corev1.HostIP{{IP: "1.1.1.1"}, {IP: "fd::1"}}, PodIPs: []corev1.PodIP{{IP: "2.2.2.2"}, {IP: "fd::2"}},
	}
	for path, want := range map[string]string{
		"metadata.name": "p", "metadata.namespace": "ns", "metadata.uid": "u", "spec.nodeName": "n", "spec.serviceAccountName": "sa",
		"status.hostIP": "1.1.1.1", "status.podIP": "2.2.2.2", "status.hostIPs": "1.1.1.1,fd::1", "status.podIPs": "2.2.2.2,fd::2",
		"metadata.labels": "a=\"x y\"\nb=\"2\"\nk.io/c=\"3\"", "metadata.annotations": `n="1"`,
		"metadata.labels['k.io/c']": "3", "metadata.annotations['n']": "1", "metadata.labels['none']": "",
	} {
		if got, err := Field(p, s, path); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", path, got, err, want)
		}
	}
	if _, err := Field(p, s, "spec.containers"); err == nil || !strings.Contains(err.Error(), `"spec.containers" is not available`) {
		t.Errorf("a field that is not for containers: %v", err)
	}
}

func TestResource(t *testing.T) {
	q := resource.MustParse
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "bare"},
		{Name: "full", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: q("250m")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: q("1500m"), corev1.ResourceMemory: q("64Mi")},
		}},
	}}}
	whole := p.DeepCopy()
	whole.Spec.Resources = &corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: q("1Gi")}}
	allocatable := corev1.ResourceList{corev1.ResourceCPU: q("4"), corev1.ResourceMemory: q("2Gi")}
	for _, c := range []struct {
		pod                     *corev1.Pod
		container, name, divide string
		want                    string
	}{
		{p, "full", "limits.cpu", "", "2"},
		{p, "full", "limits.cpu", "1m", "1500"},
		{p, "full", "requests.cpu", "", "1"},
		{p, "full", "requests.cpu", "1m", "250"},
		{p, "full", "limits.memory", "", "67108864"},
		{p, "full", "limits.memory", "1Mi", "64"},
		{p, "full", "requests.memory", "1Mi", "64"},
		{p, "bare", "limits.cpu", "", "4"},
		{p, "bare", "limits.memory", "1Mi", "2048"},
		{p, "bare", "requests.cpu", "", "0"},
		{p, "", "limits.memory", "1Mi", "2048"},
		{whole, "bare", "limits.memory", "1Mi", "1024"},
		{whole, "bare", "limits.cpu", "", "4"},
		{whole, "full", "limits.memory", "1Mi", "64"},
		{p, "none", "limits.cpu", "", `error: container "none"`},
		{p, "full", "limits.what", "", "error: resource field"},
		{p, "full", "cpu", "", "error: resource field"},
	} {
		ref := &corev1.ResourceFieldSelector{ContainerName: c.container, Resource: c.name}
		if c.divide != "" {
			ref.Divisor = q(c.divide)
		}
		got, err := Resource(c.pod, &c.pod.Spec.Containers[0], allocatable, ref)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want && (err == nil || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s of %q by %q is %s, want %s", c.name, c.container, c.divide, got, c.want)
		}
	}
	if p.Spec.Containers[0].Resources.Limits != nil {
		t.Error("the pod was changed")
	}
}
