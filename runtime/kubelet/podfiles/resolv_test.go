package podfiles

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestPodResolver(t *testing.T) {
	two := "2"
	host := resolver{servers: []string{"192.0.2.1"}, searches: []string{"example.org"}, options: []string{"rotate"}}
	pod := func(p corev1.DNSPolicy, hostNet bool, c *corev1.PodDNSConfig) *corev1.Pod {
		x := &corev1.Pod{}
		x.Namespace = "default"
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
