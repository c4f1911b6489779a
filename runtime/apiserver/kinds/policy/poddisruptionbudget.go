package policy

import (
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func podDisruptionBudget() kind.Kind {
	return kind.Kind{
		GVK:                    policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
		Resource:               "poddisruptionbudgets",
		Generation:             true,
		RequireResourceVersion: true,
		ShortNames:             []string{"pdb"},
		Namespaced:             true,
		Status:                 true,
		AnyFinalizer:           true,
		ValidateName:           validate.PathSegmentName, // it is the name of nothing else
		Validate:               kind.Check(validatePDB),
		ValidateStatusUpdate: kind.CheckUpdate(func(b, _ *policyv1.PodDisruptionBudget) field.ErrorList {
			s, path := &b.Status, field.NewPath("status")
			errs := metavalidation.ValidateConditions(s.Conditions, path.Child("conditions"))
			errs = append(errs, validate.NonNegative(s.DisruptionsAllowed, path.Child("disruptionsAllowed"))...)
			errs = append(errs, validate.NonNegative(s.CurrentHealthy, path.Child("currentHealthy"))...)
			errs = append(errs, validate.NonNegative(s.DesiredHealthy, path.Child("desiredHealthy"))...)
			return append(errs, validate.NonNegative(s.ExpectedPods, path.Child("expectedPods"))...)
		}),

		Columns: printers.Columns("Name", "Min Available", "Max Unavailable", "#Allowed Disruptions", "Age"),
		Cells: kind.Cells(func(b *policyv1.PodDisruptionBudget, now time.Time) []any {
			return []any{b.Name, orNA(b.Spec.MinAvailable), orNA(b.Spec.MaxUnavailable),
				int64(b.Status.DisruptionsAllowed), printers.Age(b.ObjectMeta, now)}
		}),
	}
}

func validatePDB(b *policyv1.PodDisruptionBudget) field.ErrorList {
	s, spec := &b.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if s.MinAvailable != nil && s.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(spec, s, "minAvailable and maxUnavailable cannot be both set"))
	}
	errs = append(errs, validate.IntOrPercent(s.MinAvailable, 100, spec.Child("minAvailable"))...)
	errs = append(errs, validate.IntOrPercent(s.MaxUnavailable, 100, spec.Child("maxUnavailable"))...)
	errs = append(errs, validate.LabelSelector(s.Selector, spec.Child("selector"))...)
	if p := s.UnhealthyPodEvictionPolicy; p != nil {
		errs = append(errs, validate.Known(*p, spec.Child("unhealthyPodEvictionPolicy"), policyv1.AlwaysAllow, policyv1.IfHealthyBudget)...)
	}
	return errs
}

func orNA(v *intstr.IntOrString) string {
	if v == nil {
		return "N/A"
	}
	return v.String()
}
