package core

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func serviceAccount() kind.Kind {
	return kind.Kind{
		GVK:          corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
		Resource:     "serviceaccounts",
		ShortNames:   []string{"sa"},
		Namespaced:   true,
		Subresources: []kind.Subresource{{Name: "token", Served: kind.AccountToken}},
		Columns:      printers.Columns("Name", "Secrets", "Age"),
		Cells: kind.Cells(func(a *corev1.ServiceAccount, now time.Time) []any {
			return []any{a.Name, int64(len(a.Secrets)), printers.Age(a.ObjectMeta, now)}
		}),
	}
}
