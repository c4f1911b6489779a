package podfiles

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// The first lines of the file, by which people and tests tell who wrote it.
const (
	hostsHeader     = "# Kubernetes-managed hosts file.\n"
	hostsHeaderHost = "# Kubernetes-managed hosts file (host network).\n"
)

// hostsFile is a pod's /etc/hosts.
// https://kubernetes.io/docs/tasks/network/customize-hosts-file-for-pods/
func hostsFile(pod *corev1.Pod, ips []string, hostname, domain, hostContent string) string {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		b.WriteString(hostsHeaderHost + hostContent)
	} else {
		b.WriteString(hostsHeader + "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		names := hostname
		if in := podDomain(pod, domain); in != "" {
			names = hostname + "." + in + "\t" + hostname
		}
		for _, ip := range ips {
			fmt.Fprintf(&b, "%s\t%s\n", ip, names)
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
	}
	for _, a := range pod.Spec.HostAliases {
		fmt.Fprintf(&b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
	}
	return b.String()
}

// podDomain is the domain of a pod's name; "" where the pod has none.
func podDomain(pod *corev1.Pod, clusterDomain string) string {
	if pod.Spec.Subdomain == "" || pod.Spec.HostnameOverride != nil {
		return ""
	}
	return fmt.Sprintf("%s.%s.svc.%s", pod.Spec.Subdomain, pod.Namespace, clusterDomain)
}

const (
	// maxLabel is the longest that a pod's own name can be.
	maxLabel = 63
	// maxFQDN is what the kernel has room for.
	maxFQDN = 64
)

// Hostname is the short name of a pod: what it overrides it with, its hostname or its name.
func Hostname(pod *corev1.Pod, nodeName string) string {
	name := pod.Name
	switch {
	case pod.Spec.HostNetwork:
		return nodeName
	case pod.Spec.HostnameOverride != nil:
		name = *pod.Spec.HostnameOverride
	case pod.Spec.Hostname != "":
		name = pod.Spec.Hostname
	}
	if len(name) <= maxLabel {
		return name
	}
	return strings.TrimRight(name[:maxLabel], "-.")
}

// KernelHostname is the name that a pod has in its UTS namespace: the short one, or with
// setHostnameAsFQDN the one with its domain.
// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-sethostnameasfqdn-field
func KernelHostname(pod *corev1.Pod, nodeName, clusterDomain string) (string, error) {
	name, domain := Hostname(pod, nodeName), podDomain(pod, clusterDomain)
	if domain == "" || pod.Spec.HostNetwork || !ptr.Deref(pod.Spec.SetHostnameAsFQDN, false) {
		return name, nil
	}
	fqdn := name + "." + domain
	if len(fqdn) > maxFQDN {
		return "", fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)", fqdn, maxFQDN, len(fqdn))
	}
	return fqdn, nil
}
