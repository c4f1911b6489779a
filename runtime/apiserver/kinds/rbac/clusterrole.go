package rbac

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func clusterRole() kind.Kind {
	return kind.Kind{
		GVK:      rbacv1.SchemeGroupVersion.WithKind("ClusterRole"),
		Resource: "clusterroles",
		Declared: kind.Declared(Validate_ClusterRole),
		Validate: kind.Check(func(r *rbacv1.ClusterRole) field.ErrorList {
			errs := validateRules(r.Rules, false, field.NewPath("rules"))
			if a := r.AggregationRule; a != nil {
				path := field.NewPath("aggregationRule", "clusterRoleSelectors")
				if len(a.ClusterRoleSelectors) == 0 {
					errs = append(errs, field.Required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
				}
				for i := range a.ClusterRoleSelectors {
					errs = append(errs, validate.LabelSelector(&a.ClusterRoleSelectors[i], path.Index(i))...)
					if _, err := metav1.LabelSelectorAsSelector(&a.ClusterRoleSelectors[i]); err != nil {
						errs = append(errs, field.Invalid(path.Index(i), a.ClusterRoleSelectors[i], "invalid label selector."))
					}
				}
			}
			return errs
		}),
		ValidateName: validate.PathSegmentName,
		Columns:      printers.Columns("Name", "@Created At"),
		Cells: kind.Cells(func(r *rbacv1.ClusterRole, _ time.Time) []any {
			return []any{r.Name, printers.CreatedAt(r.ObjectMeta)}
		}),
		CreateOnUpdate: true,
	}
}
