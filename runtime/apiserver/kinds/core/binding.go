package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// binding is pods/binding of older clients: the pod is named by the object.
func binding() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Binding"),
		Resource:   "bindings",
		Namespaced: true,

		Review: kind.Bindings,
	}
}
