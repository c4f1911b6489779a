package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/storage/ephemeral"
)

// ClaimName is the name of the PersistentVolumeClaim that a volume of a pod is made of,
// and whether it is made of any.
func ClaimName(p *corev1.Pod, v *corev1.Volume) (string, bool) {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName, true
	case v.Ephemeral != nil:
		return ephemeral.VolumeClaimName(p, v), true
	}
	return "", false
}

// ClaimNames are the names of the claims of a pod's volumes, in their order.
func ClaimNames(p *corev1.Pod) []string {
	var out []string
	for i := range p.Spec.Volumes {
		if name, ok := ClaimName(p, &p.Spec.Volumes[i]); ok {
			out = append(out, name)
		}
	}
	return out
}
