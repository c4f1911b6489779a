package admit

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func withPorts(ports ...corev1.ContainerPort) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{}, {Ports: ports}}}}
}

func TestNodePorts(t *testing.T) {
	host := func(ip string, number int32, protocol corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{ContainerPort: 80, HostIP: ip, HostPort: number, Protocol: protocol}
	}
	const tcp, udp = corev1.ProtocolTCP, corev1.ProtocolUDP
	for what, tt := range map[string]struct {
		pod, other *corev1.Pod
		rejected   bool
	}{
		"the same":               {withPorts(host("", 80, tcp)), withPorts(host("", 80, tcp)), true},
		"one of two":             {withPorts(host("", 81, tcp), host("", 80, tcp)), withPorts(host("", 80, tcp)), true},
		"TCP where none is said": {withPorts(host("", 80, "")), withPorts(host("", 80, tcp)), true},
		"another port":           {withPorts(host("", 81, tcp)), withPorts(host("", 80, tcp)), false},
		"another protocol":       {withPorts(host("", 80, udp)), withPorts(host("", 80, tcp)), false},
		"another address":        {withPorts(host("10.0.0.1", 80, tcp)), withPorts(host("10.0.0.2", 80, tcp)), false},
		"the same address":       {withPorts(host("10.0.0.1", 80, tcp)), withPorts(host("10.0.0.1", 80, tcp)), true},
		"one address of all":     {withPorts(host("10.0.0.1", 80, tcp)), withPorts(host("0.0.0.0", 80, tcp)), true},
		"all addresses of one":   {withPorts(host("", 80, tcp)), withPorts(host("10.0.0.1", 80, tcp)), true},
		"no port of the node":    {withPorts(corev1.ContainerPort{ContainerPort: 80}), withPorts(host("", 80, tcp)), false},
	} {
		r := NodePorts{}.Admit(t.Context(), Attributes{Pod: tt.pod, Others: []*corev1.Pod{withPorts(), tt.other}})
		if (r != nil) != tt.rejected || r != nil && r.Reason != "NodePorts" {
			t.Errorf("%s: %+v", what, r)
		}
	}
}
