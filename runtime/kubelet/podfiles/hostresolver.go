package podfiles

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// hostResolver is the server's resolver as the pod can use it. A pod on the host's network
// has etc, the server's own /etc/resolv.conf, as it is. In any other, a loopback address
// leads to the pod itself, so that those are left out; where they are all that etc has, as
// with the stub of systemd-resolved, it is resolved: the file in which that names the
// resolvers behind the stub. Kubeadm has the kubelet take the same one.
func hostResolver(pod *corev1.Pod, etc, resolved resolver) resolver {
	if pod.Spec.HostNetwork {
		return etc
	}
	own := etc.withoutLoopback()
	if behind := resolved.withoutLoopback(); len(own.servers) == 0 && len(behind.servers) > 0 {
		return behind
	}
	return own
}

func (r resolver) withoutLoopback() resolver {
	r.servers = slices.DeleteFunc(slices.Clone(r.servers), isLoopback)
	return r
}

// isLoopback reports whether a name server is on the machine that asks, which an
// unspecified address means too. What is no address, the C library judges.
func isLoopback(server string) bool {
	ip, err := netip.ParseAddr(server)
	return err == nil && (ip.Unmap().IsLoopback() || ip.Unmap().IsUnspecified())
}

// unserved says why a pod is without any name server; "" where it has one, or the server
// has none itself.
func unserved(files string, has, etc resolver) string {
	if len(has.servers) > 0 || len(etc.servers) == 0 {
		return ""
	}
	return fmt.Sprintf("The pod has no name server: those of the node are loopback addresses (%s), which lead nowhere from a pod's own network, and no other is in %s. "+
		"Give the node a resolver that pods can reach, or the pod a dnsConfig.", strings.Join(etc.servers, ", "), files)
}
