package kubelet

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestExpand(t *testing.T) {
	vars := map[string]string{"A": "1", "B": "$(A)"}
	for in, want := range map[string]string{
		"x": "x", "$(A)": "1", "a$(A)b$(A)": "a1b1", "$$(A)": "$(A)", "$$$(A)": "$1", "$(C)": "$(C)",
		"$(B)": "$(A)", "$(A": "$(A", "$": "$", "$A": "$A", "": "", "100$": "100$", "$()": "$()",
	} {
		if got := expand(in, vars); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	yes := true
	pod := testPod(corev1.RestartPolicyAlways, nil, "c")
	pod.Labels = map[string]string{"app": "web"}
	c := &pod.Spec.Containers[0]
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")}
	key := func(name, key string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &yes}}
	}
	c.EnvFrom = []corev1.EnvFromSource{{Prefix: "P_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}}
	c.Env = []corev1.EnvVar{
		{Name: "P_k", Value: "own"}, {Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
		{Name: "URL", Value: "http://$(IP)/$(P_k)"}, {Name: "APP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}}},
		{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
		{Name: "MEM", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}},
		{Name: "NO1", ValueFrom: key("none", "k")}, {Name: "NO2", ValueFrom: key("cm", "none")}, {Name: "YES", ValueFrom: key("cm", "k")},
	}
	src := sources{configMaps: map[string]*corev1.ConfigMap{"cm": {Data: map[string]string{"k": "v", "j": "w"}}}}
	got, err := environment(pod, c, &corev1.PodStatus{PodIP: "10.0.0.7"}, corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")}, src)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"P_j=w", "P_k=own", "IP=10.0.0.7", "URL=http://10.0.0.7/own", "APP=web", "CPUS=2", "MEM=2048", "YES=v"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	c.Env = []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}}}}
	if _, err := environment(pod, c, &corev1.PodStatus{}, nil, src); err == nil || !strings.Contains(err.Error(), `secret "s" not found`) {
		t.Errorf("a secret that is missing gives %v", err)
	}
}

func TestPodResolver(t *testing.T) {
	two := "2"
	host := resolver{servers: []string{"192.0.2.1"}, searches: []string{"example.org"}, options: []string{"rotate"}}
	pod := func(p corev1.DNSPolicy, hostNet bool, c *corev1.PodDNSConfig) *corev1.Pod {
		x := testPod(corev1.RestartPolicyAlways, nil, "c")
		x.Spec.DNSPolicy, x.Spec.HostNetwork, x.Spec.DNSConfig = p, hostNet, c
		return x
	}
	cluster := "search default.svc.c.l svc.c.l c.l example.org\nnameserver 10.96.0.10\noptions ndots:5\n"
	own := "search example.org\nnameserver 192.0.2.1\noptions rotate\n"
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"cluster first":             {pod(corev1.DNSClusterFirst, false, nil), cluster},
		"cluster first on the host": {pod(corev1.DNSClusterFirst, true, nil), own},
		"with host net":             {pod(corev1.DNSClusterFirstWithHostNet, true, nil), cluster},
		"default":                   {pod(corev1.DNSDefault, false, nil), own},
		"none": {pod(corev1.DNSNone, false, &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.9"}, Searches: []string{"a.b"}, Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: &two}}}),
			"search a.b\nnameserver 192.0.2.9\noptions ndots:2\n"},
		"changed option": {pod(corev1.DNSClusterFirst, false, &corev1.PodDNSConfig{Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: &two}}}), strings.Replace(cluster, "ndots:5", "ndots:2", 1)},
	} {
		if got := podResolver(c.pod, []string{"10.96.0.10"}, "c.l", host).String(); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, c.want)
		}
	}
}

func TestQOS(t *testing.T) {
	list := func(cpu, mem string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(mem)}
	}
	for _, c := range []struct {
		requests, limits corev1.ResourceList
		want             corev1.PodQOSClass
	}{
		{nil, nil, corev1.PodQOSBestEffort},
		{list("1", "1Gi"), list("1", "1Gi"), corev1.PodQOSGuaranteed},
		{nil, list("1", "1Gi"), corev1.PodQOSGuaranteed},
		{list("1", "1Gi"), nil, corev1.PodQOSBurstable},
		{list("1", "1Gi"), list("2", "1Gi"), corev1.PodQOSBurstable},
	} {
		pod := testPod(corev1.RestartPolicyAlways, nil, "c")
		pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: c.requests, Limits: c.limits}
		if got := qosClass(pod); got != c.want {
			t.Errorf("requests %v, limits %v: %s, want %s", c.requests, c.limits, got, c.want)
		}
	}
}
