package kinds

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func daemonSet() Kind {
	return Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
		Resource:   "daemonsets",
		ShortNames: []string{"ds"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,

		Default:  on(defaultDaemonSet),
		Validate: check(validateDaemonSet),
		ValidateUpdate: checkUpdate(func(d, old *appsv1.DaemonSet) field.ErrorList {
			return immutable(d.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
		}),
		ValidateStatusUpdate: checkUpdate(validateDaemonSetStatus),

		Columns: columns("Name", "#Desired", "#Current", "#Ready", "#Up-to-date", "#Available", "Node Selector", "Age",
			"+Containers", "+Images", "+Selector"),
		Cells: cells(func(d *appsv1.DaemonSet, now time.Time) []any {
			s := d.Status
			names, refs := images(d.Spec.Template.Spec.Containers)
			return []any{
				d.Name, int64(s.DesiredNumberScheduled), int64(s.CurrentNumberScheduled), int64(s.NumberReady),
				int64(s.UpdatedNumberScheduled), int64(s.NumberAvailable), labelsText(d.Spec.Template.Spec.NodeSelector),
				age(d.ObjectMeta, now), names, refs, selectorText(d.Spec.Selector),
			}
		}),
	}
}

func defaultDaemonSet(d *appsv1.DaemonSet) {
	s := &d.Spec
	setDefaultPtr(&s.RevisionHistoryLimit, defaultHistory)
	setDefault(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		setDefaultPtr(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		setDefaultPtr(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		setDefaultPtr(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	defaultTemplate(&s.Template)
}

func validateDaemonSet(d *appsv1.DaemonSet) field.ErrorList {
	s, spec := &d.Spec, field.NewPath("spec")
	errs := workloadSelector(s.Selector, s.Template.Labels, spec)
	errs = append(errs, validateTemplate(&s.Template, spec.Child("template"), corev1.RestartPolicyAlways)...)
	errs = append(errs, noDeadline(&s.Template, spec)...)
	errs = append(errs, nonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
	errs = append(errs, nonNegativePtr(s.RevisionHistoryLimit, spec.Child("revisionHistoryLimit"))...)

	strategy := spec.Child("updateStrategy")
	errs = append(errs, oneOf(s.UpdateStrategy.Type, strategy.Child("type"),
		appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType)...)
	if s.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType {
		return errs
	}
	r, rolling := s.UpdateStrategy.RollingUpdate, strategy.Child("rollingUpdate")
	if r == nil {
		return append(errs, field.Required(rolling, ""))
	}
	errs = append(errs, rollingPace(r.MaxUnavailable, r.MaxSurge, rolling)...)
	errs = append(errs, intOrPercent(r.MaxSurge, 100, rolling.Child("maxSurge"))...)
	// A node has room for one pod of a set, so there is no third way.
	if !isZero(r.MaxUnavailable) && r.MaxSurge != nil && !isZero(r.MaxSurge) {
		errs = append(errs, field.Invalid(rolling.Child("maxSurge"), r.MaxSurge.String(), "may not be set when maxUnavailable is non-zero"))
	}
	return errs
}

func validateDaemonSetStatus(d, _ *appsv1.DaemonSet) field.ErrorList {
	s, path := d.Status, field.NewPath("status")
	var errs field.ErrorList
	for name, n := range map[string]int32{
		"currentNumberScheduled": s.CurrentNumberScheduled, "numberMisscheduled": s.NumberMisscheduled,
		"desiredNumberScheduled": s.DesiredNumberScheduled, "numberReady": s.NumberReady,
		"updatedNumberScheduled": s.UpdatedNumberScheduled, "numberAvailable": s.NumberAvailable,
		"numberUnavailable": s.NumberUnavailable,
	} {
		errs = append(errs, nonNegative(n, path.Child(name))...)
	}
	return append(errs, nonNegative(s.ObservedGeneration, path.Child("observedGeneration"))...)
}
