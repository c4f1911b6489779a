package core

import (
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func replicationController() kind.Kind {
	return kind.Kind{
		GVK:          corev1.SchemeGroupVersion.WithKind("ReplicationController"),
		Resource:     "replicationcontrollers",
		Orphans:      true,
		Generation:   true,
		ShortNames:   []string{"rc"},
		Categories:   []string{"all"},
		Namespaced:   true,
		Status:       true,
		NoWatchCache: true,
		Scale: kind.ScaleOf(
			func(r *corev1.ReplicationController) (int32, int32) {
				return ptr.Deref(r.Spec.Replicas, 1), r.Status.Replicas
			},
			func(r *corev1.ReplicationController, n int32) { r.Spec.Replicas = &n },
			func(r *corev1.ReplicationController) string {
				return labels.SelectorFromSet(r.Spec.Selector).String()
			},
		),

		Default: kind.On(SetObjectDefaults_ReplicationController, defaultReplicationController),
		Drop: kind.On(func(r *corev1.ReplicationController) {
			if r.Spec.Template != nil {
				DropDisabled(r.Spec.Template)
			}
		}),
		Unsupported: kind.Check(func(r *corev1.ReplicationController) field.ErrorList {
			if r.Spec.Template == nil {
				return nil
			}
			return UnsupportedPodTemplate(r.Spec.Template, field.NewPath("spec", "template"))
		}),
		Declared: kind.Declared(Validate_ReplicationController),
		Validate: kind.Check(validateReplicationController),
		ValidateStatusUpdate: kind.CheckUpdate(func(r, _ *corev1.ReplicationController) field.ErrorList {
			s := &r.Status
			return validate.ReplicaCounts(s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, field.NewPath("status"))
		}),

		WarningsOnCreate: kind.Warnings(func(r *corev1.ReplicationController) []string { return NameWarnings(r.Name) }),
		Warnings: kind.Warnings(func(r *corev1.ReplicationController) []string {
			if r.Spec.Template == nil {
				return nil
			}
			return TemplateWarnings(r.Spec.Template, field.NewPath("spec", "template"))
		}),
		WarnsOnChange: true,

		Columns: printers.Columns("Name", "#Desired", "#Current", "#Ready", "Age", "+Containers", "+Images", "+Selector"),
		Cells: kind.Cells(func(r *corev1.ReplicationController, now time.Time) []any {
			var names, refs string
			if r.Spec.Template != nil {
				names, refs = printers.Images(r.Spec.Template.Spec.Containers)
			}
			return []any{
				r.Name, int64(ptr.Deref(r.Spec.Replicas, 1)), int64(r.Status.Replicas), int64(r.Status.ReadyReplicas),
				printers.Age(r.ObjectMeta, now), names, refs, printers.Labels(r.Spec.Selector),
			}
		}),
		Fields: kind.Fields(func(r *corev1.ReplicationController) fields.Set {
			return fields.Set{"status.replicas": fmt.Sprint(r.Status.Replicas)}
		}),
	}
}

// defaultReplicationController takes labels and selector from the template where
// they are not given.
func defaultReplicationController(r *corev1.ReplicationController) {
	if r.Spec.Template == nil {
		return
	}
	DefaultPodTemplate(r.Spec.Template)
	if len(r.Spec.Selector) == 0 {
		r.Spec.Selector = maps.Clone(r.Spec.Template.Labels)
	}
	if len(r.Labels) == 0 {
		r.Labels = maps.Clone(r.Spec.Template.Labels)
	}
}

func validateReplicationController(r *corev1.ReplicationController) field.ErrorList {
	s, spec := &r.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if len(s.Selector) == 0 {
		errs = append(errs, field.Required(spec.Child("selector"), ""))
	}
	if s.Template == nil {
		return append(errs, field.Required(spec.Child("template"), ""))
	}
	if len(s.Selector) > 0 && !labels.SelectorFromSet(s.Selector).Matches(labels.Set(s.Template.Labels)) {
		errs = append(errs, field.Invalid(spec.Child("template", "metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	errs = append(errs, ValidatePodTemplate(s.Template, spec.Child("template"), corev1.RestartPolicyAlways)...)
	return append(errs, NoActiveDeadline(s.Template, spec)...)
}
