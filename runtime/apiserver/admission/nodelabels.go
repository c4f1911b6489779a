package admission

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kubeletapis "k8s.io/kubelet/pkg/apis"
)

// ownDomain is that of the annotations by which Gantry knows a node's host.
const ownDomain = "gantry.run"

// differing are the keys of a and b that are not the same in both, sorted.
func differing(a, b map[string]string) []string {
	var out []string
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			out = append(out, k)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// in reports whether the key is of the domain, or of one below it.
func in(key, domain string) bool {
	of, _, ok := strings.Cut(key, "/")
	return ok && (of == domain || strings.HasSuffix(of, "."+domain))
}

// forbiddenLabels are those that a node changes and may not: labels that select nodes
// for sensitive work, and Kubernetes' own other than the kubelets'.
func forbiddenLabels(now, old map[string]string) string {
	return strings.Join(slices.DeleteFunc(differing(now, old), func(key string) bool {
		if in(key, corev1.LabelNamespaceNodeRestriction) {
			return false
		}
		return !in(key, "kubernetes.io") && !in(key, "k8s.io") || kubeletapis.IsKubeletLabel(key)
	}), ", ")
}

// forbiddenAnnotations are those that an apply has put there, and believes.
func forbiddenAnnotations(now, old map[string]string) string {
	return strings.Join(slices.DeleteFunc(differing(now, old), func(key string) bool { return !in(key, ownDomain) }), ", ")
}
