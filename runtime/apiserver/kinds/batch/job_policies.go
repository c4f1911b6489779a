package batch

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// The bounds of what a job says of failed and of enough successful pods.
const (
	maxFailureRules     = 20
	maxExitCodes        = 255
	maxConditions       = 20
	maxSuccessRules     = 20
	maxSucceededIndexes = 64 << 10 // characters
)

func validateFailurePolicy(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	if s.PodFailurePolicy == nil {
		return nil
	}
	rules := s.PodFailurePolicy.Rules
	errs := tooMany(len(rules), maxFailureRules, path.Child("rules"))
	for i := range rules {
		errs = append(errs, validateFailureRule(s, &rules[i], path.Child("rules").Index(i))...)
	}
	return errs
}

func tooMany(n, max int, path *field.Path) field.ErrorList {
	if n > max {
		return field.ErrorList{field.TooMany(path, n, max)}
	}
	return nil
}

func validateFailureRule(s *batchv1.JobSpec, r *batchv1.PodFailurePolicyRule, path *field.Path) field.ErrorList {
	errs := validate.OneOf(r.Action, path.Child("action"), batchv1.PodFailurePolicyActionCount,
		batchv1.PodFailurePolicyActionFailIndex, batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore)
	if r.Action == batchv1.PodFailurePolicyActionFailIndex && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Invalid(path.Child("action"), r.Action, "requires the backoffLimitPerIndex to be set"))
	}
	if r.OnExitCodes != nil {
		errs = append(errs, validateExitCodes(s, r.OnExitCodes, path.Child("onExitCodes"))...)
	}
	errs = append(errs, validateConditions(r.OnPodConditions, path.Child("onPodConditions"))...)
	switch codes, conditions := r.OnExitCodes != nil, len(r.OnPodConditions) > 0; {
	case codes && conditions:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "specifying both OnExitCodes and OnPodConditions is not supported"))
	case !codes && !conditions:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "specifying one of OnExitCodes and OnPodConditions is required"))
	}
	return errs
}

func validateConditions(patterns []batchv1.PodFailurePolicyOnPodConditionsPattern, path *field.Path) field.ErrorList {
	errs := tooMany(len(patterns), maxConditions, path)
	for i, p := range patterns {
		errs = append(errs, validate.QualifiedName(string(p.Type), path.Index(i).Child("type"))...)
		errs = append(errs, validate.OneOf(p.Status, path.Index(i).Child("status"), corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown)...)
	}
	return errs
}

func validateExitCodes(s *batchv1.JobSpec, r *batchv1.PodFailurePolicyOnExitCodesRequirement, path *field.Path) field.ErrorList {
	errs := validate.OneOf(r.Operator, path.Child("operator"), batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn)
	named := func(c corev1.Container) bool { return c.Name == *r.ContainerName }
	if r.ContainerName != nil && !slices.ContainsFunc(s.Template.Spec.Containers, named) && !slices.ContainsFunc(s.Template.Spec.InitContainers, named) {
		errs = append(errs, field.Invalid(path.Child("containerName"), *r.ContainerName, "must be one of the container or initContainer names in the pod template"))
	}
	values := path.Child("values")
	if len(r.Values) == 0 {
		errs = append(errs, field.Invalid(values, r.Values, "at least one value is required"))
	}
	errs = append(errs, tooMany(len(r.Values), maxExitCodes, values)...)
	seen := sets.New[int32]()
	for i, v := range r.Values {
		if v == 0 && r.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn {
			errs = append(errs, field.Invalid(values.Index(i), v, "must not be 0 for the In operator"))
		}
		if seen.Has(v) {
			errs = append(errs, field.Duplicate(values.Index(i), v))
		}
		seen.Insert(v)
	}
	if !slices.IsSorted(r.Values) {
		errs = append(errs, field.Invalid(values, r.Values, "must be ordered"))
	}
	return errs
}

// validateSuccessPolicy is for jobs that are indexed.
func validateSuccessPolicy(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	rules := s.SuccessPolicy.Rules
	if len(rules) == 0 {
		return field.ErrorList{field.Required(path.Child("rules"), "at least one rules must be specified when the successPolicy is specified")}
	}
	errs := tooMany(len(rules), maxSuccessRules, path.Child("rules"))
	if s.Completions == nil { // told already, and nothing can be held against it
		return errs
	}
	for i := range rules {
		errs = append(errs, validateSuccessRule(*s.Completions, &rules[i], path.Child("rules").Index(i))...)
	}
	return errs
}

func validateSuccessRule(completions int32, r *batchv1.SuccessPolicyRule, path *field.Path) field.ErrorList {
	if r.SucceededCount == nil && r.SucceededIndexes == nil {
		return field.ErrorList{field.Required(path, "at least one of succeededCount or succeededIndexes must be specified")}
	}
	var errs field.ErrorList
	var total int32
	if text := r.SucceededIndexes; text != nil {
		at := path.Child("succeededIndexes")
		errs = append(errs, validate.TooLong(len(*text), maxSucceededIndexes, at)...)
		intervals, err := parseIndexes(*text, completions)
		if err != nil {
			errs = append(errs, field.Invalid(at, *text, "error parsing succeededIndexes: "+err.Error()))
		} else {
			total = intervals.total()
		}
	}
	if r.SucceededCount == nil {
		return errs
	}
	n, at := *r.SucceededCount, path.Child("succeededCount")
	errs = append(errs, validate.NonNegative(n, at)...)
	if n > completions {
		errs = append(errs, field.Invalid(at, n, fmt.Sprintf("must be less than or equal to %d (the number of specified completions)", completions)))
	}
	if r.SucceededIndexes != nil && n > total {
		errs = append(errs, field.Invalid(at, n, fmt.Sprintf("must be less than or equal to %d (the number of indexes in the specified succeededIndexes field)", total)))
	}
	return errs
}
