package containerspec

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
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
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
