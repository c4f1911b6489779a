package podfiles

import (
	"fmt"
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

// parseResolver reads a resolv.conf. A search domain means the same with a trailing dot and
// without; the root alone, which systemd-resolved writes where there is none, adds nothing to
// a name that is looked up as it is anyway.
func parseResolver(content string) resolver {
	var r resolver
	for line := range strings.Lines(content) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			r.servers = append(r.servers, f[1])
		case "search", "domain":
			r.searches = nil // the last line counts
			for _, s := range f[1:] {
				if s = strings.TrimSuffix(s, "."); s != "" {
					r.searches = append(r.searches, s)
				}
			}
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
		r.servers = slices.Concat(r.servers, c.Nameservers)
		r.searches = slices.Concat(r.searches, c.Searches)
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
	r.servers, r.searches = unique(r.servers), unique(r.searches)
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
