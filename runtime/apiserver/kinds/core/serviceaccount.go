package core

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func serviceAccount() kind.Kind {
	return kind.Kind{
		GVK:              corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
		Resource:         "serviceaccounts",
		ReturnsDeleted:   true,
		ShortNames:       []string{"sa"},
		Namespaced:       true,
		Subresources:     []kind.Subresource{{Name: "token", Served: kind.AccountToken}},
		PrepareForCreate: kind.On(namesOfSecrets),
		PrepareForUpdate: kind.OnUpdate(func(a, _ *corev1.ServiceAccount) { namesOfSecrets(a) }),
		Columns:          printers.Columns("Name", "Age"),
		Cells: kind.Cells(func(a *corev1.ServiceAccount, now time.Time) []any {
			return []any{a.Name, printers.Age(a.ObjectMeta, now)}
		}),
	}
}

// namesOfSecrets leaves of each reference the name: the secrets are of the account's namespace.
func namesOfSecrets(a *corev1.ServiceAccount) {
	for i, s := range a.Secrets {
		a.Secrets[i] = corev1.ObjectReference{Name: s.Name}
	}
}
