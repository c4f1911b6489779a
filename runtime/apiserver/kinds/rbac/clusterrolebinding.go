package rbac

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func clusterRoleBinding() kind.Kind {
	return kind.Kind{
		GVK:      rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"),
		Resource: "clusterrolebindings",
		Default: kind.On(func(b *rbacv1.ClusterRoleBinding) {
			defaultBinding(&b.RoleRef, b.Subjects)
		}),
		Declared: kind.Declared(Validate_ClusterRoleBinding),
		Validate: kind.Check(func(b *rbacv1.ClusterRoleBinding) field.ErrorList {
			return validateBinding(&b.RoleRef, b.Subjects, false, "ClusterRole")
		}),
		ValidateUpdate: kind.CheckUpdate(func(b, old *rbacv1.ClusterRoleBinding) field.ErrorList {
			return sameRoleRef(b.RoleRef, old.RoleRef)
		}),
		ValidateName: validate.PathSegmentName,
		Columns:      printers.Columns("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"),
		Cells: kind.Cells(func(b *rbacv1.ClusterRoleBinding, now time.Time) []any {
			users, groups, accounts := subjectsText(b.Subjects)
			return []any{b.Name, b.RoleRef.Kind + "/" + b.RoleRef.Name, printers.Age(b.ObjectMeta, now), users, groups, accounts}
		}),
		CreateOnUpdate: true,
	}
}
