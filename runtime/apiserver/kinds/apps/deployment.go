package apps

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func deployment() kind.Kind {
	return kind.Kind{
		GVK:         appsv1.SchemeGroupVersion.WithKind("Deployment"),
		Resource:    "deployments",
		Generation:  true,
		ShortNames:  []string{"deploy"},
		Categories:  []string{"all"},
		Namespaced:  true,
		Status:      true,
		StatusKeeps: kind.Labels,
		Scale: kind.ScaleOf(
			func(d *appsv1.Deployment) (int32, int32) { return ptr.Deref(d.Spec.Replicas, 1), d.Status.Replicas },
			func(d *appsv1.Deployment, n int32) { d.Spec.Replicas = &n },
			func(d *appsv1.Deployment) string { return selectorString(d.Spec.Selector) },
		),

		// Its annotations say what a rollout was for: they count.
		PrepareForUpdate: kind.OnUpdate(func(d, old *appsv1.Deployment) {
			if equality.Semantic.DeepEqual(d.Spec, old.Spec) && !equality.Semantic.DeepEqual(d.Annotations, old.Annotations) {
				d.Generation++
			}
		}),
		Default: kind.On(SetObjectDefaults_Deployment, defaultDeployment),
		Drop:    kind.On(func(d *appsv1.Deployment) { core.DropDisabled(&d.Spec.Template) }),
		Unsupported: kind.Check(func(d *appsv1.Deployment) field.ErrorList {
			return core.UnsupportedPodTemplate(&d.Spec.Template, field.NewPath("spec", "template"))
		}),
		Declared: kind.Declared(Validate_Deployment),
		Validate: kind.Check(validateDeployment),
		ValidateUpdate: kind.CheckUpdate(func(d, old *appsv1.Deployment) field.ErrorList {
			return validate.Immutable(d.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
		}),
		ValidateStatusUpdate: kind.CheckUpdate(func(d, old *appsv1.Deployment) field.ErrorList {
			return validateDeploymentStatus(&d.Status, &old.Status, field.NewPath("status"))
		}),

		Warnings: kind.Warnings(func(o *appsv1.Deployment) []string {
			return core.TemplateWarnings(&o.Spec.Template, field.NewPath("spec", "template"))
		}),
		WarnsOnChange:    true,
		WarningsOnCreate: kind.Warnings(func(o *appsv1.Deployment) []string { return core.NameWarnings(o.Name) }),
		Columns:          printers.Columns("Name", "Ready", "Up-to-date", "Available", "Age", "+Containers", "+Images", "+Selector"),
		Cells: kind.Cells(func(d *appsv1.Deployment, now time.Time) []any {
			names, refs := printers.Images(d.Spec.Template.Spec.Containers)
			return []any{
				d.Name, fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, ptr.Deref(d.Spec.Replicas, 1)),
				int64(d.Status.UpdatedReplicas), int64(d.Status.AvailableReplicas),
				printers.Age(d.ObjectMeta, now), names, refs, printers.Selector(d.Spec.Selector),
			}
		}),
	}
}

func defaultDeployment(d *appsv1.Deployment) {
	s := &d.Spec
	kind.SetDefaultPtr(&s.Replicas, 1)
	kind.SetDefaultPtr(&s.RevisionHistoryLimit, defaultHistory)
	kind.SetDefaultPtr(&s.ProgressDeadlineSeconds, 600)
	kind.SetDefault(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		kind.SetDefaultPtr(&s.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		kind.SetDefaultPtr(&s.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		kind.SetDefaultPtr(&s.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	core.DefaultPodTemplate(&s.Template)
}

func validateDeployment(d *appsv1.Deployment) field.ErrorList {
	s, spec := &d.Spec, field.NewPath("spec")
	errs := validate.NonNegativePtr(s.Replicas, spec.Child("replicas"))
	errs = append(errs, validate.WorkloadSelector(s.Selector, s.Template.Labels, spec)...)
	if validate.Readable(s.Selector) {
		errs = append(errs, core.ValidatePodTemplate(&s.Template, spec.Child("template"), corev1.RestartPolicyAlways)...)
		errs = append(errs, core.NoActiveDeadline(&s.Template, spec)...)
	}
	errs = append(errs, validateDeploymentStrategy(&s.Strategy, spec.Child("strategy"))...)
	errs = append(errs, validate.NonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
	errs = append(errs, validate.NonNegativePtr(s.RevisionHistoryLimit, spec.Child("revisionHistoryLimit"))...)
	if p := s.ProgressDeadlineSeconds; p != nil {
		at := spec.Child("progressDeadlineSeconds")
		errs = append(errs, validate.NonNegative(*p, at)...)
		if *p <= s.MinReadySeconds {
			errs = append(errs, field.Invalid(at, *p, "must be greater than minReadySeconds"))
		}
	}
	return errs
}

func validateDeploymentStrategy(s *appsv1.DeploymentStrategy, path *field.Path) field.ErrorList {
	rolling := path.Child("rollingUpdate")
	switch s.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.RollingUpdate != nil {
			return field.ErrorList{field.Forbidden(rolling, "may not be specified when strategy `type` is 'Recreate'")}
		}
	case appsv1.RollingUpdateDeploymentStrategyType:
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(rolling, "this should be defaulted and never be nil")}
		}
		return rollingPace(s.RollingUpdate.MaxUnavailable, s.RollingUpdate.MaxSurge, rolling)
	default:
		return field.ErrorList{field.NotSupported(path, s, []string{string(appsv1.RecreateDeploymentStrategyType), string(appsv1.RollingUpdateDeploymentStrategyType)})}
	}
	return nil
}

func validateDeploymentStatus(s, old *appsv1.DeploymentStatus, path *field.Path) field.ErrorList {
	errs := validate.NonNegative(s.ObservedGeneration, path.Child("observedGeneration"))
	errs = append(errs, validate.NonNegative(s.Replicas, path.Child("replicas"))...)
	errs = append(errs, validate.AtMost(s.UpdatedReplicas, s.Replicas, path.Child("updatedReplicas"), "status.replicas")...)
	errs = append(errs, validate.AtMost(s.ReadyReplicas, s.Replicas, path.Child("readyReplicas"), "status.replicas")...)
	errs = append(errs, validate.AtMost(s.AvailableReplicas, s.Replicas, path.Child("availableReplicas"), "status.replicas")...)
	errs = append(errs, validate.AtMost(s.AvailableReplicas, s.ReadyReplicas, path.Child("availableReplicas"), "readyReplicas")...)
	errs = append(errs, validate.NonNegative(s.UnavailableReplicas, path.Child("unavailableReplicas"))...)
	errs = append(errs, validate.NonNegativePtr(s.TerminatingReplicas, path.Child("terminatingReplicas"))...)
	return append(errs, validate.CollisionCount(s.CollisionCount, old.CollisionCount, path.Child("collisionCount"))...)
}
