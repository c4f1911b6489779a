package core

import (
	"fmt"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func resourceQuota() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("ResourceQuota"),
		Resource:   "resourcequotas",
		ShortNames: []string{"quota"},
		Namespaced: true,
		Status:     true,
		Validate:   kind.Check(validateResourceQuota),
		ValidateUpdate: kind.CheckUpdate(func(q, old *corev1.ResourceQuota) field.ErrorList {
			return validate.Immutable(q.Spec.Scopes, old.Spec.Scopes, field.NewPath("spec", "scopes"))
		}),
		ValidateStatusUpdate: kind.CheckUpdate(func(q, _ *corev1.ResourceQuota) field.ErrorList {
			status := field.NewPath("status")
			return append(validate.ResourceList(q.Status.Hard, status.Child("hard")), validate.ResourceList(q.Status.Used, status.Child("used"))...)
		}),
		Columns: printers.Columns("Name", "Request", "Limit", "Age"),
		Cells: kind.Cells(func(q *corev1.ResourceQuota, now time.Time) []any {
			requests, limits := quotaText(q)
			return []any{q.Name, requests, limits, printers.Age(q.ObjectMeta, now)}
		}),
	}
}

func validateResourceQuota(q *corev1.ResourceQuota) field.ErrorList {
	s, spec := &q.Spec, field.NewPath("spec")
	errs := validate.ResourceList(s.Hard, spec.Child("hard"))
	valid := []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort,
		corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity,
		corev1.ResourceQuotaScopeVolumeAttributesClass}
	seen := sets.New[corev1.ResourceQuotaScope]()
	for i, scope := range s.Scopes {
		errs = append(errs, validate.OneOf(scope, spec.Child("scopes").Index(i), valid...)...)
		seen.Insert(scope)
	}
	for _, pair := range [][2]corev1.ResourceQuotaScope{
		{corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort},
		{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating},
	} {
		if seen.HasAll(pair[0], pair[1]) {
			errs = append(errs, field.Invalid(spec.Child("scopes"), s.Scopes, "conflicting scopes"))
		}
	}
	if s.ScopeSelector == nil {
		return errs
	}
	for i, r := range s.ScopeSelector.MatchExpressions {
		at := spec.Child("scopeSelector", "matchExpressions").Index(i)
		errs = append(errs, validate.OneOf(r.ScopeName, at.Child("scopeName"), valid...)...)
		switch r.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(r.Values) == 0 {
				errs = append(errs, field.Required(at.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(r.Values) > 0 {
				errs = append(errs, field.Invalid(at.Child("values"), r.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
			}
		default:
			errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
		}
	}
	return errs
}

// quotaText prints used and hard of each resource, limits apart from the rest.
func quotaText(q *corev1.ResourceQuota) (requests, limits string) {
	var names []string
	for name := range q.Status.Hard {
		names = append(names, string(name))
	}
	sort.Strings(names)
	var r, l []string
	for _, name := range names {
		used, hard := q.Status.Used[corev1.ResourceName(name)], q.Status.Hard[corev1.ResourceName(name)]
		text := fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String())
		if strings.HasPrefix(name, "limits.") {
			l = append(l, text)
		} else {
			r = append(r, text)
		}
	}
	return strings.Join(r, ", "), strings.Join(l, ", ")
}
