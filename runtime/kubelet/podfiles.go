package kubelet

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// resolver is the content of a resolv.conf.
type resolver struct {
	servers, searches, options []string
}

// Limits of C libraries.
const (
	maxNameservers = 3
	maxSearches    = 32
)

func (r resolver) String() string {
	var b strings.Builder
	if len(r.searches) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(r.searches[:min(len(r.searches), maxSearches)], " "))
	}
	for _, s := range r.servers[:min(len(r.servers), maxNameservers)] {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(r.options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(r.options, " "))
	}
	return b.String()
}

func parseResolver(content string) resolver {
	var r resolver
	for s := bufio.NewScanner(strings.NewReader(content)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			r.servers = append(r.servers, f[1])
		case "search", "domain":
			r.searches = f[1:]
		case "options":
			r.options = append(r.options, f[1:]...)
		}
	}
	return r
}

// podResolver computes a pod's resolv.conf from its DNS policy.
func podResolver(pod *corev1.Pod, clusterDNS []string, domain string, host resolver) resolver {
	var r resolver
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork {
		policy = corev1.DNSDefault
	}
	switch policy {
	case corev1.DNSNone:
	case corev1.DNSDefault:
		r = host
	default:
		r.servers = clusterDNS
		r.searches = append([]string{pod.Namespace + ".svc." + domain, "svc." + domain, domain}, host.searches...)
		r.options = []string{"ndots:5"}
	}
	if c := pod.Spec.DNSConfig; c != nil {
		r.servers = unique(slices.Concat(r.servers, c.Nameservers))
		r.searches = unique(slices.Concat(r.searches, c.Searches))
		for _, o := range c.Options {
			v := o.Name
			if o.Value != nil {
				v += ":" + *o.Value
			}
			r.options = slices.DeleteFunc(slices.Clone(r.options), func(have string) bool {
				name, _, _ := strings.Cut(have, ":")
				return name == o.Name
			})
			r.options = append(r.options, v)
		}
	}
	return r
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

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

// podHostname is the name a pod has in its UTS namespace.
func podHostname(pod *corev1.Pod, nodeName string) string {
	switch {
	case pod.Spec.HostNetwork:
		return nodeName
	case pod.Spec.Hostname != "":
		return pod.Spec.Hostname
	}
	return strings.TrimRight(pod.Name[:min(len(pod.Name), 63)], "-.")
}

// writePodFiles writes the files that every container of a pod has.
func (k *Kubelet) writePodFiles(pod *corev1.Pod, podIP string) error {
	hostResolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	hostHosts, err := os.ReadFile("/etc/hosts")
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	name := podHostname(pod, k.cfg.NodeName)
	for file, content := range map[string]string{
		"etc-hosts":   hostsFile(pod, podIP, name, k.cfg.ClusterDomain, string(hostHosts)),
		"hostname":    name + "\n",
		"resolv.conf": podResolver(pod, k.cfg.ClusterDNS, k.cfg.ClusterDomain, parseResolver(string(hostResolv))).String(),
	} {
		if err := os.WriteFile(filepath.Join(k.podDir(string(pod.UID)), file), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write %s of pod %s/%s: %w", file, pod.Namespace, pod.Name, err)
		}
	}
	return nil
}
