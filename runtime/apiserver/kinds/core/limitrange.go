package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func limitRange() kind.Kind {
	return kind.Kind{
		GVK:          corev1.SchemeGroupVersion.WithKind("LimitRange"),
		Resource:     "limitranges",
		ShortNames:   []string{"limits"},
		Namespaced:   true,
		NoWatchCache: true,
		Default: kind.On(func(l *corev1.LimitRange) {
			for i := range l.Spec.Limits {
				defaultLimits(&l.Spec.Limits[i])
			}
		}),
		PrepareForCreate: kind.On(func(l *corev1.LimitRange) {
			if l.Name == "" {
				l.Name = string(uuid.NewUUID())
			}
		}),
		Validate: kind.Check(validateLimitRange),
		Columns:  printers.Columns("Name", "@Created At"),
		Cells: kind.Cells(func(l *corev1.LimitRange, _ time.Time) []any {
			return []any{l.Name, printers.CreatedAt(l.ObjectMeta)}
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
		errs = append(errs, limitType(item.Type, at.Child("type"))...)
		if types.Has(item.Type) {
			errs = append(errs, field.Duplicate(at.Child("type"), item.Type))
		}
		types.Insert(item.Type)
		for _, f := range []struct {
			name string
			list corev1.ResourceList
		}{
			{"max", item.Max},
			{"min", item.Min},
			{"default", item.Default},
			{"defaultRequest", item.DefaultRequest},
			{"maxLimitRequestRatio", item.MaxLimitRequestRatio},
		} {
			if item.Type == corev1.LimitTypePod && strings.HasPrefix(f.name, "default") {
				if len(f.list) > 0 {
					errs = append(errs, field.Forbidden(at.Child(f.name), "may not be specified when `type` is 'Pod'"))
				}
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(f.list)) {
				key := at.Child(f.name).Key(string(name))
				errs = append(errs, limitName(item.Type, name, key)...)
			}
		}
		if item.Type == corev1.LimitTypePersistentVolumeClaim {
			_, least := item.Min[corev1.ResourceStorage]
			_, most := item.Max[corev1.ResourceStorage]
			if !least && !most {
				errs = append(errs, field.Required(at.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
			}
		}
		defaults, requests := item.Default, item.DefaultRequest
		if item.Type == corev1.LimitTypePod { // they are refused already
			defaults, requests = nil, nil
		}
		errs = append(errs, ordered(limits{"min", "min", item.Min}, limits{"max", "max", item.Max}, "min", at)...)
		errs = append(errs, ordered(limits{"min", "min", item.Min}, limits{"defaultRequest", "default request", requests}, "defaultRequest", at)...)
		errs = append(errs, ordered(limits{"defaultRequest", "default request", requests}, limits{"max", "max", item.Max}, "defaultRequest", at)...)
		errs = append(errs, ordered(limits{"defaultRequest", "default request", requests}, limits{"default", "default limit", defaults}, "defaultRequest", at)...)
		errs = append(errs, ordered(limits{"min", "min", item.Min}, limits{"default", "default", defaults}, "default", at)...)
		errs = append(errs, ordered(limits{"default", "default", defaults}, limits{"max", "max", item.Max}, "default", at)...)
		for _, name := range slices.Sorted(maps.Keys(item.Default)) {
			limit := item.Default[name]
			if request, ok := item.DefaultRequest[name]; ok && !overcommitable(name) && request.Cmp(limit) != 0 {
				errs = append(errs, field.Invalid(at.Child("defaultRequest").Key(string(name)), request.String(),
					fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", limit.String(), request.String(), name)))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(item.MaxLimitRequestRatio)) {
			ratio := item.MaxLimitRequestRatio[name]
			if ratio.CmpInt64(1) < 0 {
				errs = append(errs, field.Invalid(at.Child("maxLimitRequestRatio").Key(string(name)), ratio.String(), fmt.Sprintf("ratio %s is less than 1", ratio.String())))
			}
			least, hasMin := item.Min[name]
			most, hasMax := item.Max[name]
			if limit := most.AsApproximateFloat64() / least.AsApproximateFloat64(); hasMin && hasMax && ratio.AsApproximateFloat64() > limit {
				errs = append(errs, field.Invalid(at.Child("maxLimitRequestRatio").Key(string(name)), ratio.String(), fmt.Sprintf("ratio %s is greater than max/min = %f", ratio.String(), limit)))
			}
		}
	}
	return errs
}

// limitType checks what a range is for: one of Kubernetes' types, or one with a domain.
func limitType(t corev1.LimitType, path *field.Path) field.ErrorList {
	errs := validate.InvalidIf(validation.IsQualifiedName(string(t)), path, t)
	if len(errs) == 0 && !strings.Contains(string(t), "/") && t != corev1.LimitTypePod && t != corev1.LimitTypeContainer && t != corev1.LimitTypePersistentVolumeClaim {
		errs = append(errs, field.Invalid(path, t, "must be a standard limit type or fully qualified"))
	}
	return errs
}

// limits are quantities, with the words that errors have for them.
type limits struct {
	name, text string
	list       corev1.ResourceList
}

// ordered checks that no quantity of low is above the same one of high; blamed is the one
// that is told to be wrong.
func ordered(low, high limits, blamed string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(low.list)) {
		q := low.list[name]
		if top, ok := high.list[name]; ok && q.Cmp(top) > 0 {
			errs = append(errs, field.Invalid(path.Child(blamed).Key(string(name)), q.String(),
				fmt.Sprintf("%s value %s is greater than %s value %s", low.text, q.String(), high.text, top.String())))
		}
	}
	return errs
}
