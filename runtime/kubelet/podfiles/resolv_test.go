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

func TestSearchDomainsOfAHost(t *testing.T) {
	for content, want := range map[string]string{
		"search .\n":           "",
		"search a b.c. .\n":    "search a b.c\n",
		"search a. a b a\n":    "search a b\n",
		"domain a.\n":          "search a\n",
		"search a\nsearch b\n": "search b\n",
		"search a\nsearch .\n": "",
		"nameserver 192.0.2.1\nnameserver 192.0.2.1": "nameserver 192.0.2.1\n",
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{DNSPolicy: corev1.DNSDefault}}
		if got := podResolver(pod, nil, "c.l", parseResolver(content)).String(); got != want {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
	pod := &corev1.Pod{}
	pod.Namespace = "ns"
	want := "search ns.svc.c.l svc.c.l c.l lan\nnameserver 10.96.0.10\noptions ndots:5\n"
	if got := podResolver(pod, []string{"10.96.0.10"}, "c.l", parseResolver("search c.l. lan\n")).String(); got != want {
		t.Errorf("beside the cluster's: %q, want %q", got, want)
	}
}
