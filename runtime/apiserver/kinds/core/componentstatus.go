package core

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

// componentStatus is how the processes of the master that is asked are; it is deprecated
// by Kubernetes in favour of their own /healthz, and kubectl get componentstatuses shows it.
func componentStatus() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("ComponentStatus"),
		Resource:   "componentstatuses",
		ShortNames: []string{"cs"},

		Storage: kind.Components,
		Columns: printers.Columns("Name", "Status", "Message", "Error"),
		Cells: kind.Cells(func(c *corev1.ComponentStatus, _ time.Time) []any {
			for _, condition := range c.Conditions {
				if condition.Type != corev1.ComponentHealthy {
					continue
				}
				status := "Unhealthy"
				if condition.Status == corev1.ConditionTrue {
					status = "Healthy"
				}
				return []any{c.Name, status, condition.Message, condition.Error}
			}
			return []any{c.Name, "Unknown", "", ""}
		}),
	}
}
