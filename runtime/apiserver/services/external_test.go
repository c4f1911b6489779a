package services

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/addr"
)

// No Service may take, as an external IP, what the cluster has given to another.
func TestExternalIPsOfTheCluster(t *testing.T) {
	away := errors.New("no answer")
	nodes := func(err error) func(context.Context) ([]corev1.Node, error) {
		return func(context.Context) ([]corev1.Node, error) {
			return []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeHostName, Address: "n"}, {Type: corev1.NodeInternalIP, Address: "192.0.2.7"},
			}}}}, err
		}
	}
	pods := addr.MustPrefixes("10.244.0.0/16")
	tests := []struct {
		name string
		own  Own
		old  []string
		ips  []string
		path string // of the refusal
	}{
		{"none", Own{Pods: pods, Nodes: nodes(away)}, nil, nil, ""},
		{"outside", Own{Pods: pods, Nodes: nodes(nil)}, nil, []string{"203.0.113.1"}, ""},
		{"a cluster IP", Own{}, nil, []string{"203.0.113.1", "10.0.0.5"}, "spec.externalIPs[1]"},
		{"a cluster IP in IPv6", Own{}, nil, []string{"::ffff:10.0.0.5"}, "spec.externalIPs[0]"},
		{"the last of the range", Own{}, nil, []string{"10.0.0.7"}, "spec.externalIPs[0]"},
		{"beyond the range", Own{}, nil, []string{"10.0.0.8"}, ""},
		{"a pod's", Own{Pods: pods}, nil, []string{"10.244.255.255"}, "spec.externalIPs[0]"},
		{"pods that are not known", Own{}, nil, []string{"10.244.0.1"}, ""},
		{"a node's", Own{Pods: pods, Nodes: nodes(nil)}, nil, []string{"192.0.2.7"}, "spec.externalIPs[0]"},
		{"one that it had", Own{Pods: pods, Nodes: nodes(nil)}, []string{"10.0.0.5"}, []string{"10.0.0.5"}, ""},
		{"one more", Own{Pods: pods, Nodes: nodes(nil)}, []string{"10.0.0.5"}, []string{"10.0.0.5", "10.0.0.6"}, "spec.externalIPs[1]"},
		{"no address", Own{Pods: pods, Nodes: nodes(nil)}, nil, []string{"here"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newMemory(nil)
			a := allocator(t, l, sequence(t, 3))
			a.Protect(tt.own)
			s := service(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ExternalIPs: tt.ips, Ports: []corev1.ServicePort{port(80, "TCP", 0)}})
			var old *corev1.Service
			if tt.old != nil {
				old = service(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ExternalIPs: tt.old})
			}
			_, err := a.Allocate(t.Context(), s, old, false)
			if tt.path == "" && err != nil || tt.path != "" && !isInvalid(err, tt.path) {
				t.Errorf("%v", err)
			}
			if err != nil && len(l.names()) > 0 {
				t.Errorf("refused, and yet it holds %v", l.names())
			}
		})
	}
	a := allocator(t, newMemory(nil), sequence(t, 3))
	a.Protect(Own{Nodes: nodes(away)})
	if _, err := a.Allocate(t.Context(), service(corev1.ServiceSpec{ExternalIPs: []string{"203.0.113.1"}}), nil, false); !errors.Is(err, away) {
		t.Errorf("nodes that cannot be listed: %v", err)
	}
}

// The cluster has one family of addresses: what needs another is refused.
func TestOneFamily(t *testing.T) {
	require, prefer := corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicyPreferDualStack
	for name, tt := range map[string]struct {
		spec corev1.ServiceSpec
		path string
	}{
		"one":              {corev1.ServiceSpec{IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}}, ""},
		"two if can be":    {corev1.ServiceSpec{IPFamilyPolicy: &prefer}, ""},
		"two":              {corev1.ServiceSpec{IPFamilyPolicy: &require}, "spec.ipFamilyPolicy"},
		"the other":        {corev1.ServiceSpec{IPFamilies: []corev1.IPFamily{corev1.IPv6Protocol}}, "spec.ipFamilies[0]"},
		"both":             {corev1.ServiceSpec{IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}}, "spec.ipFamilies[1]"},
		"two addresses":    {corev1.ServiceSpec{ClusterIP: "10.0.0.4", ClusterIPs: []string{"10.0.0.4", "fd00::1"}}, "spec.clusterIPs[1]"},
		"headless of many": {corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, IPFamilyPolicy: &require}, ""},
		"headless of pods": {corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, IPFamilyPolicy: &require, Selector: map[string]string{"a": "b"}}, "spec.ipFamilyPolicy"},
		"an unknown one":   {corev1.ServiceSpec{IPFamilies: []corev1.IPFamily{"IPv5"}}, ""},
	} {
		_, err := allocator(t, newMemory(nil), sequence(t, 3)).Allocate(t.Context(), service(tt.spec), nil, false)
		if tt.path == "" && err != nil || tt.path != "" && !isInvalid(err, tt.path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
