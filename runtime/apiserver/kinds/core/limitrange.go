package core

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
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
		Validate: kind.Check(validateLimitRange),
		Columns:  printers.Columns("Name", "Created At"),
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
		if item.Type == "" {
			errs = append(errs, field.Required(at.Child("type"), ""))
		}
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
		} {
			errs = append(errs, validate.ResourceList(f.list, at.Child(f.name))...)
		}
		if item.Type == corev1.LimitTypePod && len(item.Default)+len(item.DefaultRequest) > 0 {
			errs = append(errs, field.Forbidden(at.Child("default"), "may not be specified when `type` is 'Pod'"))
		}
		errs = append(errs, ordered(item.Min, item.Max, "min", "max", at)...)
		errs = append(errs, ordered(item.Min, item.DefaultRequest, "min", "defaultRequest", at)...)
		errs = append(errs, ordered(item.DefaultRequest, item.Max, "defaultRequest", "max", at)...)
		errs = append(errs, ordered(item.DefaultRequest, item.Default, "defaultRequest", "default", at)...)
		errs = append(errs, ordered(item.Default, item.Max, "default", "max", at)...)
		for _, name := range slices.Sorted(maps.Keys(item.MaxLimitRequestRatio)) {
			ratio := item.MaxLimitRequestRatio[name]
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
	for _, name := range slices.Sorted(maps.Keys(low)) {
		q := low[name]
		if top, ok := high[name]; ok && q.Cmp(top) > 0 {
			errs = append(errs, field.Invalid(path.Child(lowName).Key(string(name)), q.String(),
				fmt.Sprintf("%s value %s is greater than %s value %s", lowName, q.String(), highName, top.String())))
		}
	}
	return errs
}
