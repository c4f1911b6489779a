package rbac

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func roleBinding() kind.Kind {
	return kind.Kind{
		GVK:        rbacv1.SchemeGroupVersion.WithKind("RoleBinding"),
		Resource:   "rolebindings",
		Namespaced: true,
		Default: kind.On(func(b *rbacv1.RoleBinding) {
			defaultBinding(&b.RoleRef, b.Subjects)
		}),
		Declared: kind.Declared(Validate_RoleBinding),
		Validate: kind.Check(func(b *rbacv1.RoleBinding) field.ErrorList {
			return validateBinding(&b.RoleRef, b.Subjects, true, "Role", "ClusterRole")
		}),
		ValidateUpdate: kind.CheckUpdate(func(b, old *rbacv1.RoleBinding) field.ErrorList {
			return sameRoleRef(b.RoleRef, old.RoleRef)
		}),
		ValidateName: validate.PathSegmentName,
		Columns:      printers.Columns("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"),
		Cells: kind.Cells(func(b *rbacv1.RoleBinding, now time.Time) []any {
			users, groups, accounts := subjectsText(b.Subjects)
			return []any{b.Name, b.RoleRef.Kind + "/" + b.RoleRef.Name, printers.Age(b.ObjectMeta, now), users, groups, accounts}
		}),
		CreateOnUpdate: true,
	}
}
