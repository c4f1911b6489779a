package core

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func resourceQuota() kind.Kind {
	return kind.Kind{
		GVK:            corev1.SchemeGroupVersion.WithKind("ResourceQuota"),
		Resource:       "resourcequotas",
		ReturnsDeleted: true,
		ShortNames:     []string{"quota"},
		Namespaced:     true,
		Status:         true,
		Validate:       kind.Check(validateResourceQuota),
		ValidateUpdate: kind.CheckUpdate(func(q, old *corev1.ResourceQuota) field.ErrorList {
			if sets.New(q.Spec.Scopes...).Equal(sets.New(old.Spec.Scopes...)) {
				return nil
			}
			return field.ErrorList{field.Invalid(field.NewPath("spec", "scopes"), q.Spec.Scopes, "field is immutable")}
		}),
		ValidateStatusUpdate: kind.CheckUpdate(func(q, _ *corev1.ResourceQuota) field.ErrorList {
			status := field.NewPath("status")
			return append(quotaAmounts(q.Status.Hard, status.Child("hard")), quotaAmounts(q.Status.Used, status.Child("used"))...)
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
	errs := quotaAmounts(s.Hard, spec.Child("hard"))
	// Upstream leaves the indices of scopes out of the paths.
	for _, scope := range s.Scopes {
		errs = append(errs, quotaScope(scope, s.Hard, spec.Child("scopes"), spec.Child("scopes"))...)
	}
	errs = append(errs, conflictingScopes(s.Scopes, spec.Child("scopes"))...)
	if s.ScopeSelector == nil {
		return errs
	}
	var selected []corev1.ResourceQuotaScope
	at := spec.Child("scopeSelector", "matchExpressions")
	for _, r := range s.ScopeSelector.MatchExpressions {
		errs = append(errs, quotaScope(r.ScopeName, s.Hard, at.Child("scopeName"), at)...)
		selected = append(selected, r.ScopeName)
		switch r.ScopeName {
		case corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeTerminating,
			corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
			if r.Operator != corev1.ScopeSelectorOpExists {
				errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "+
					"ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
			}
		}
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
	return append(errs, conflictingScopes(selected, at)...)
}

// quotaScope refuses scopes that there are not, and those that some of the resources
// are never in: such a quota would limit nothing.
func quotaScope(scope corev1.ResourceQuotaScope, hard corev1.ResourceList, path, applied *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch scope {
	case corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort,
		corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity,
		corev1.ResourceQuotaScopeVolumeAttributesClass:
	default:
		errs = append(errs, field.Invalid(path, scope, "unsupported scope"))
	}
	for _, name := range slices.Sorted(maps.Keys(hard)) {
		fits := !standardQuota(name)
		switch scope {
		case corev1.ResourceQuotaScopeBestEffort:
			fits = fits || name == corev1.ResourcePods
		case corev1.ResourceQuotaScopeVolumeAttributesClass:
			fits = fits || name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage
		default:
			fits = fits || name == corev1.ResourcePods || computeQuota(name)
		}
		if !fits {
			errs = append(errs, field.Invalid(applied, scope, fmt.Sprintf("unsupported scope applied to resource %s", name)))
		}
	}
	return errs
}

func conflictingScopes(scopes []corev1.ResourceQuotaScope, path *field.Path) field.ErrorList {
	set := sets.New(scopes...)
	if set.HasAll(corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort) ||
		set.HasAll(corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating) {
		return field.ErrorList{field.Invalid(path, scopes, "conflicting scopes")}
	}
	return nil
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
