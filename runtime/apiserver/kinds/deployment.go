package kinds

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const defaultHistory int32 = 10

func deployment() Kind {
	return Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("Deployment"),
		Resource:   "deployments",
		ShortNames: []string{"deploy"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,
		Scale: scale(
			func(d *appsv1.Deployment) (int32, int32) { return deref(d.Spec.Replicas, 1), d.Status.Replicas },
			func(d *appsv1.Deployment, n int32) { d.Spec.Replicas = &n },
			func(d *appsv1.Deployment) string { return selectorString(d.Spec.Selector) },
		),

		Default:  on(defaultDeployment),
		Validate: check(validateDeployment),
		ValidateUpdate: checkUpdate(func(d, old *appsv1.Deployment) field.ErrorList {
			return immutable(d.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
		}),
		ValidateStatusUpdate: checkUpdate(func(d, _ *appsv1.Deployment) field.ErrorList {
			return validateDeploymentStatus(&d.Status, field.NewPath("status"))
		}),

		Columns: columns("Name", "Ready", "Up-to-date", "Available", "Age", "+Containers", "+Images", "+Selector"),
		Cells: cells(func(d *appsv1.Deployment, now time.Time) []any {
			names, refs := images(d.Spec.Template.Spec.Containers)
			return []any{
				d.Name, fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, deref(d.Spec.Replicas, 1)),
				int64(d.Status.UpdatedReplicas), int64(d.Status.AvailableReplicas),
				age(d.ObjectMeta, now), names, refs, selectorText(d.Spec.Selector),
			}
		}),
	}
}

func defaultDeployment(d *appsv1.Deployment) {
	s := &d.Spec
	setDefaultPtr(&s.Replicas, 1)
	setDefaultPtr(&s.RevisionHistoryLimit, defaultHistory)
	setDefaultPtr(&s.ProgressDeadlineSeconds, 600)
	setDefault(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		setDefaultPtr(&s.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		setDefaultPtr(&s.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		setDefaultPtr(&s.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	defaultTemplate(&s.Template)
}

func validateDeployment(d *appsv1.Deployment) field.ErrorList {
	s, spec := &d.Spec, field.NewPath("spec")
	errs := nonNegativePtr(s.Replicas, spec.Child("replicas"))
	errs = append(errs, workloadSelector(s.Selector, s.Template.Labels, spec)...)
	errs = append(errs, validateTemplate(&s.Template, spec.Child("template"), corev1.RestartPolicyAlways)...)
	errs = append(errs, noDeadline(&s.Template, spec)...)
	errs = append(errs, validateDeploymentStrategy(&s.Strategy, spec.Child("strategy"))...)
	errs = append(errs, nonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
	errs = append(errs, nonNegativePtr(s.RevisionHistoryLimit, spec.Child("revisionHistoryLimit"))...)
	if p := s.ProgressDeadlineSeconds; p != nil {
		at := spec.Child("progressDeadlineSeconds")
		errs = append(errs, nonNegative(*p, at)...)
		if *p <= s.MinReadySeconds {
			errs = append(errs, field.Invalid(at, *p, "must be greater than minReadySeconds"))
		}
	}
	return errs
}

// noDeadline refuses a deadline in the template of a kind whose pods are to run
// for ever.
func noDeadline(t *corev1.PodTemplateSpec, spec *field.Path) field.ErrorList {
	if t.Spec.ActiveDeadlineSeconds != nil {
		return field.ErrorList{field.Forbidden(spec.Child("template", "spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in this kind is not Supported")}
	}
	return nil
}

func validateDeploymentStrategy(s *appsv1.DeploymentStrategy, path *field.Path) field.ErrorList {
	errs := oneOf(s.Type, path.Child("type"), appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType)
	rolling := path.Child("rollingUpdate")
	switch {
	case s.Type == appsv1.RecreateDeploymentStrategyType && s.RollingUpdate != nil:
		errs = append(errs, field.Forbidden(rolling, "may not be specified when strategy `type` is 'Recreate'"))
	case s.Type == appsv1.RollingUpdateDeploymentStrategyType && s.RollingUpdate == nil:
		errs = append(errs, field.Required(rolling, "this should be defaulted and never be nil"))
	case s.Type == appsv1.RollingUpdateDeploymentStrategyType:
		errs = append(errs, rollingPace(s.RollingUpdate.MaxUnavailable, s.RollingUpdate.MaxSurge, rolling)...)
	}
	return errs
}

// rollingPace checks how many pods an update may take away and add at a time;
// with neither it could not begin.
func rollingPace(unavailable, surge *intstr.IntOrString, path *field.Path) field.ErrorList {
	errs := intOrPercent(unavailable, 100, path.Child("maxUnavailable"))
	errs = append(errs, intOrPercent(surge, 0, path.Child("maxSurge"))...)
	if isZero(unavailable) && isZero(surge) {
		errs = append(errs, field.Invalid(path.Child("maxUnavailable"), unavailable.String(), "may not be 0 when `maxSurge` is 0"))
	}
	return errs
}

func validateDeploymentStatus(s *appsv1.DeploymentStatus, path *field.Path) field.ErrorList {
	errs := nonNegative(s.ObservedGeneration, path.Child("observedGeneration"))
	errs = append(errs, nonNegative(s.Replicas, path.Child("replicas"))...)
	errs = append(errs, atMost(s.UpdatedReplicas, s.Replicas, path.Child("updatedReplicas"), "status.replicas")...)
	errs = append(errs, atMost(s.ReadyReplicas, s.Replicas, path.Child("readyReplicas"), "status.replicas")...)
	errs = append(errs, atMost(s.AvailableReplicas, s.Replicas, path.Child("availableReplicas"), "status.replicas")...)
	errs = append(errs, atMost(s.AvailableReplicas, s.ReadyReplicas, path.Child("availableReplicas"), "readyReplicas")...)
	errs = append(errs, nonNegative(s.UnavailableReplicas, path.Child("unavailableReplicas"))...)
	return errs
}

// atMost checks a count that may not be negative or above another one.
func atMost(n, max int32, path *field.Path, of string) field.ErrorList {
	errs := nonNegative(n, path)
	if n > max {
		errs = append(errs, field.Invalid(path, n, "cannot be greater than "+of))
	}
	return errs
}
