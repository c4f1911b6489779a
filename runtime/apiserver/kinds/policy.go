package kinds

import (
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func podDisruptionBudget() Kind {
	return Kind{
		GVK:        policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
		Resource:   "poddisruptionbudgets",
		ShortNames: []string{"pdb"},
		Namespaced: true,
		Status:     true,
		Validate:   check(validatePDB),
		ValidateStatusUpdate: checkUpdate(func(b, _ *policyv1.PodDisruptionBudget) field.ErrorList {
			s, path := &b.Status, field.NewPath("status")
			errs := nonNegative(s.DisruptionsAllowed, path.Child("disruptionsAllowed"))
			errs = append(errs, nonNegative(s.CurrentHealthy, path.Child("currentHealthy"))...)
			errs = append(errs, nonNegative(s.DesiredHealthy, path.Child("desiredHealthy"))...)
			return append(errs, nonNegative(s.ExpectedPods, path.Child("expectedPods"))...)
		}),

		Columns: columns("Name", "Min Available", "Max Unavailable", "#Allowed Disruptions", "Age"),
		Cells: cells(func(b *policyv1.PodDisruptionBudget, now time.Time) []any {
			return []any{b.Name, orNA(b.Spec.MinAvailable), orNA(b.Spec.MaxUnavailable),
				int64(b.Status.DisruptionsAllowed), age(b.ObjectMeta, now)}
		}),
	}
}

func validatePDB(b *policyv1.PodDisruptionBudget) field.ErrorList {
	s, spec := &b.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if s.MinAvailable != nil && s.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(spec, s, "minAvailable and maxUnavailable cannot be both set"))
	}
	errs = append(errs, intOrPercent(s.MinAvailable, 100, spec.Child("minAvailable"))...)
	errs = append(errs, intOrPercent(s.MaxUnavailable, 100, spec.Child("maxUnavailable"))...)
	errs = append(errs, labelSelector(s.Selector, spec.Child("selector"))...)
	if p := s.UnhealthyPodEvictionPolicy; p != nil {
		errs = append(errs, oneOf(*p, spec.Child("unhealthyPodEvictionPolicy"), policyv1.IfHealthyBudget, policyv1.AlwaysAllow)...)
	}
	return errs
}

func orNA(v *intstr.IntOrString) string {
	if v == nil {
		return "N/A"
	}
	return v.String()
}
