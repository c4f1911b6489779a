package apps

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func replicaSet() kind.Kind {
	return kind.Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
		Resource:   "replicasets",
		Generation: true,
		ShortNames: []string{"rs"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,
		Scale: kind.ScaleOf(
			func(r *appsv1.ReplicaSet) (int32, int32) { return ptr.Deref(r.Spec.Replicas, 1), r.Status.Replicas },
			func(r *appsv1.ReplicaSet, n int32) { r.Spec.Replicas = &n },
			func(r *appsv1.ReplicaSet) string { return selectorString(r.Spec.Selector) },
		),

		Default: kind.On(SetObjectDefaults_ReplicaSet, func(r *appsv1.ReplicaSet) {
			kind.SetDefaultPtr(&r.Spec.Replicas, 1)
			core.DefaultPodTemplate(&r.Spec.Template)
		}),
		Drop: kind.On(func(r *appsv1.ReplicaSet) { core.DropDisabled(&r.Spec.Template) }),
		Unsupported: kind.Check(func(r *appsv1.ReplicaSet) field.ErrorList {
			return core.UnsupportedPodTemplate(&r.Spec.Template, field.NewPath("spec", "template"))
		}),
		Declared: kind.Declared(Validate_ReplicaSet),
		Validate: kind.Check(func(r *appsv1.ReplicaSet) field.ErrorList {
			s, spec := &r.Spec, field.NewPath("spec")
			errs := validate.NonNegativePtr(s.Replicas, spec.Child("replicas"))
			errs = append(errs, validate.NonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
			errs = append(errs, validate.WorkloadSelector(s.Selector, s.Template.Labels, spec)...)
			if !validate.Readable(s.Selector) {
				return errs
			}
			errs = append(errs, core.ValidatePodTemplate(&s.Template, spec.Child("template"), corev1.RestartPolicyAlways)...)
			return append(errs, core.NoActiveDeadline(&s.Template, spec)...)
		}),
		ValidateUpdate: kind.CheckUpdate(func(r, old *appsv1.ReplicaSet) field.ErrorList {
			return validate.Immutable(r.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
		}),
		ValidateStatusUpdate: kind.CheckUpdate(func(r, _ *appsv1.ReplicaSet) field.ErrorList {
			s, path := &r.Status, field.NewPath("status")
			errs := validate.ReplicaCounts(s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, path)
			errs = append(errs, validate.NonNegativePtr(s.TerminatingReplicas, path.Child("terminatingReplicas"))...)
			return append(errs, validate.NonNegative(s.ObservedGeneration, path.Child("observedGeneration"))...)
		}),

		Warnings: kind.Warnings(func(o *appsv1.ReplicaSet) []string {
			return core.TemplateWarnings(&o.Spec.Template, field.NewPath("spec", "template"))
		}),
		WarnsOnChange:    true,
		WarningsOnCreate: kind.Warnings(func(o *appsv1.ReplicaSet) []string { return core.NameWarnings(o.Name) }),
		Columns:          printers.Columns("Name", "#Desired", "#Current", "#Ready", "Age", "+Containers", "+Images", "+Selector"),
		Cells: kind.Cells(func(r *appsv1.ReplicaSet, now time.Time) []any {
			names, refs := printers.Images(r.Spec.Template.Spec.Containers)
			return []any{
				r.Name, int64(ptr.Deref(r.Spec.Replicas, 1)), int64(r.Status.Replicas), int64(r.Status.ReadyReplicas),
				printers.Age(r.ObjectMeta, now), names, refs, printers.Selector(r.Spec.Selector),
			}
		}),
		Fields: kind.Fields(func(r *appsv1.ReplicaSet) fields.Set {
			return fields.Set{"status.replicas": fmt.Sprint(r.Status.Replicas)}
		}),
	}
}
