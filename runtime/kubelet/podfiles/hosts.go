package podfiles

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// hostsFile is a pod's /etc/hosts.
func hostsFile(pod *corev1.Pod, podIP, hostname, domain, hostContent string) string {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		b.WriteString(hostContent)
	} else {
		b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		if pod.Spec.Subdomain != "" {
			fmt.Fprintf(&b, "%s\t%s.%s.%s.svc.%s\t%s\n", podIP, hostname, pod.Spec.Subdomain, pod.Namespace, domain, hostname)
		} else {
			fmt.Fprintf(&b, "%s\t%s\n", podIP, hostname)
		}
	}
	for _, a := range pod.Spec.HostAliases {
		fmt.Fprintf(&b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
	}
	return b.String()
}

// Hostname is the name a pod has in its UTS namespace.
func Hostname(pod *corev1.Pod, nodeName string) string {
	switch {
	case pod.Spec.HostNetwork:
		return nodeName
	case pod.Spec.Hostname != "":
		return pod.Spec.Hostname
	}
	return strings.TrimRight(pod.Name[:min(len(pod.Name), 63)], "-.")
}
