package kinds

import (
	"fmt"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func limitRange() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("LimitRange"),
		Resource:   "limitranges",
		ShortNames: []string{"limits"},
		Namespaced: true,
		Default: on(func(l *corev1.LimitRange) {
			for i := range l.Spec.Limits {
				defaultLimits(&l.Spec.Limits[i])
			}
		}),
		Validate: check(validateLimitRange),
		Columns:  columns("Name", "Created At"),
		Cells: cells(func(l *corev1.LimitRange, _ time.Time) []any {
			return []any{l.Name, createdAt(l.ObjectMeta)}
		}),
		CreateOnUpdate: true,
	}
}

// defaultLimits derives what containers get by default: the limit from the
// maximum, the request from the limit or else the minimum.
func defaultLimits(l *corev1.LimitRangeItem) {
	if l.Type != corev1.LimitTypeContainer {
		return
	}
	fill := func(to *corev1.ResourceList, from corev1.ResourceList) {
		for name, q := range from {
			if _, ok := (*to)[name]; ok {
				continue
			}
			if *to == nil {
				*to = corev1.ResourceList{}
			}
			(*to)[name] = q.DeepCopy()
		}
	}
	fill(&l.Default, l.Max)
	fill(&l.DefaultRequest, l.Default)
	fill(&l.DefaultRequest, l.Min)
}

func validateLimitRange(l *corev1.LimitRange) field.ErrorList {
	var errs field.ErrorList
	types := sets.New[corev1.LimitType]()
	for i := range l.Spec.Limits {
		item, at := &l.Spec.Limits[i], field.NewPath("spec", "limits").Index(i)
		if item.Type == "" {
			errs = append(errs, field.Required(at.Child("type"), ""))
		}
		if types.Has(item.Type) {
			errs = append(errs, field.Duplicate(at.Child("type"), item.Type))
		}
		types.Insert(item.Type)
		for name, list := range map[string]corev1.ResourceList{"max": item.Max, "min": item.Min, "default": item.Default, "defaultRequest": item.DefaultRequest} {
			errs = append(errs, resources(list, at.Child(name))...)
		}
		if item.Type == corev1.LimitTypePod && len(item.Default)+len(item.DefaultRequest) > 0 {
			errs = append(errs, field.Forbidden(at.Child("default"), "may not be specified when `type` is 'Pod'"))
		}
		errs = append(errs, ordered(item.Min, item.Max, "min", "max", at)...)
		errs = append(errs, ordered(item.Min, item.DefaultRequest, "min", "defaultRequest", at)...)
		errs = append(errs, ordered(item.DefaultRequest, item.Max, "defaultRequest", "max", at)...)
		errs = append(errs, ordered(item.DefaultRequest, item.Default, "defaultRequest", "default", at)...)
		errs = append(errs, ordered(item.Default, item.Max, "default", "max", at)...)
		for name, ratio := range item.MaxLimitRequestRatio {
			if ratio.CmpInt64(1) < 0 {
				errs = append(errs, field.Invalid(at.Child("maxLimitRequestRatio").Key(string(name)), ratio.String(), fmt.Sprintf("ratio %s is less than 1", ratio.String())))
			}
		}
	}
	return errs
}

// ordered checks that no quantity of low is above the same one of high.
func ordered(low, high corev1.ResourceList, lowName, highName string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name, q := range low {
		if top, ok := high[name]; ok && q.Cmp(top) > 0 {
			errs = append(errs, field.Invalid(path.Child(lowName).Key(string(name)), q.String(),
				fmt.Sprintf("%s value %s is greater than %s value %s", lowName, q.String(), highName, top.String())))
		}
	}
	return errs
}

func resourceQuota() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("ResourceQuota"),
		Resource:   "resourcequotas",
		ShortNames: []string{"quota"},
		Namespaced: true,
		Status:     true,
		Validate:   check(validateResourceQuota),
		ValidateUpdate: checkUpdate(func(q, old *corev1.ResourceQuota) field.ErrorList {
			return immutable(q.Spec.Scopes, old.Spec.Scopes, field.NewPath("spec", "scopes"))
		}),
		ValidateStatusUpdate: checkUpdate(func(q, _ *corev1.ResourceQuota) field.ErrorList {
			status := field.NewPath("status")
			return append(resources(q.Status.Hard, status.Child("hard")), resources(q.Status.Used, status.Child("used"))...)
		}),
		Columns: columns("Name", "Request", "Limit", "Age"),
		Cells: cells(func(q *corev1.ResourceQuota, now time.Time) []any {
			requests, limits := quotaText(q)
			return []any{q.Name, requests, limits, age(q.ObjectMeta, now)}
		}),
	}
}

func validateResourceQuota(q *corev1.ResourceQuota) field.ErrorList {
	s, spec := &q.Spec, field.NewPath("spec")
	errs := resources(s.Hard, spec.Child("hard"))
	valid := []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort,
		corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity,
		corev1.ResourceQuotaScopeVolumeAttributesClass}
	seen := sets.New[corev1.ResourceQuotaScope]()
	for i, scope := range s.Scopes {
		errs = append(errs, oneOf(scope, spec.Child("scopes").Index(i), valid...)...)
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
		errs = append(errs, oneOf(r.ScopeName, at.Child("scopeName"), valid...)...)
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

func serviceAccount() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
		Resource:   "serviceaccounts",
		ShortNames: []string{"sa"},
		Namespaced: true,
		Columns:    columns("Name", "Secrets", "Age"),
		Cells: cells(func(a *corev1.ServiceAccount, now time.Time) []any {
			return []any{a.Name, int64(len(a.Secrets)), age(a.ObjectMeta, now)}
		}),
	}
}
