package pod

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
)

// Tolerates reports whether one of the tolerations tolerates the taint. Comparison
// operators (Lt, Gt) count. https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
func Tolerates(tolerations []corev1.Toleration, taint *corev1.Taint) bool {
	return schedulinghelper.TolerationsTolerateTaint(klog.Logger{}, tolerations, taint, true)
}

// FindUntolerated returns the first taint of the given effects that no toleration
// tolerates; nil if there is none.
func FindUntolerated(taints []corev1.Taint, tolerations []corev1.Toleration, effects ...corev1.TaintEffect) *corev1.Taint {
	for i := range taints {
		if t := &taints[i]; slices.Contains(effects, t.Effect) && !Tolerates(tolerations, t) {
			return t
		}
	}
	return nil
}
