package pod

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// IsExtendedResource says whether a name is neither Kubernetes' own nor a quota's name for
// one that is not: what nodes have beside CPU, memory and the like, counted in whole units.
// https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources
func IsExtendedResource(name corev1.ResourceName) bool {
	n := string(name)
	return strings.Contains(n, "/") && !strings.Contains(n, corev1.ResourceDefaultNamespacePrefix) && !strings.HasPrefix(n, corev1.DefaultResourceRequestsPrefix) &&
		len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+n)) == 0
}
