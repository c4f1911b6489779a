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
// leads to the pod itself, so that those are left out; where they are all that etc has, the
// servers are those of resolved: the file in which systemd-resolved names the ones that it
// asks itself. The rest stays etc's, unless etc is of systemd-resolved too: then its options
// are for the stub alone, and the search is the same. Kubeadm has the kubelet take the other
// file whenever the service systemd-resolved is active, whatever etc says.
func hostResolver(pod *corev1.Pod, etc, resolved resolver) resolver {
	if pod.Spec.HostNetwork {
		return etc
	}
	own, behind := etc.withoutLoopback(), resolved.withoutLoopback()
	switch {
	case len(own.servers) > 0 || len(behind.servers) == 0:
	case etc.isStub() || etc.isEmpty():
		return behind
	default:
		own.servers = behind.servers
	}
	return own
}

// needsResolved reports whether hostResolver looks beyond etc.
func needsResolved(pod *corev1.Pod, etc resolver) bool {
	return !pod.Spec.HostNetwork && len(etc.withoutLoopback().servers) == 0
}

// isStub reports whether all servers are the addresses at which systemd-resolved answers.
func (r resolver) isStub() bool {
	return len(r.servers) > 0 && !slices.ContainsFunc(r.servers, func(s string) bool { return s != "127.0.0.53" && s != "127.0.0.54" })
}

func (r resolver) isEmpty() bool { return len(r.servers)+len(r.searches)+len(r.options) == 0 }

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
