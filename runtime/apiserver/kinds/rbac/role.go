package rbac

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func role() kind.Kind {
	return kind.Kind{
		GVK:        rbacv1.SchemeGroupVersion.WithKind("Role"),
		Resource:   "roles",
		Namespaced: true,
		Declared:   kind.Declared(Validate_Role),
		Validate: kind.Check(func(r *rbacv1.Role) field.ErrorList {
			return validateRules(r.Rules, true, field.NewPath("rules"))
		}),
		ValidateName: validate.PathSegmentName,
		Columns:      printers.Columns("Name", "@Created At"),
		Cells: kind.Cells(func(r *rbacv1.Role, _ time.Time) []any {
			return []any{r.Name, printers.CreatedAt(r.ObjectMeta)}
		}),
		CreateOnUpdate: true,
	}
}
