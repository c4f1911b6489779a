package kinds

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func replicaSet() Kind {
	return Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
		Resource:   "replicasets",
		ShortNames: []string{"rs"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,
		Scale: scale(
			func(r *appsv1.ReplicaSet) (int32, int32) { return deref(r.Spec.Replicas, 1), r.Status.Replicas },
			func(r *appsv1.ReplicaSet, n int32) { r.Spec.Replicas = &n },
			func(r *appsv1.ReplicaSet) string { return selectorString(r.Spec.Selector) },
		),

		Default: on(func(r *appsv1.ReplicaSet) {
			setDefaultPtr(&r.Spec.Replicas, 1)
			defaultTemplate(&r.Spec.Template)
		}),
		Validate: check(func(r *appsv1.ReplicaSet) field.ErrorList {
			s, spec := &r.Spec, field.NewPath("spec")
			errs := nonNegativePtr(s.Replicas, spec.Child("replicas"))
			errs = append(errs, nonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
			errs = append(errs, workloadSelector(s.Selector, s.Template.Labels, spec)...)
			errs = append(errs, validateTemplate(&s.Template, spec.Child("template"), corev1.RestartPolicyAlways)...)
			return append(errs, noDeadline(&s.Template, spec)...)
		}),
		ValidateUpdate: checkUpdate(func(r, old *appsv1.ReplicaSet) field.ErrorList {
			return immutable(r.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
		}),
		ValidateStatusUpdate: checkUpdate(func(r, _ *appsv1.ReplicaSet) field.ErrorList {
			s, path := &r.Status, field.NewPath("status")
			return replicaCounts(s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, path)
		}),

		Columns: columns("Name", "#Desired", "#Current", "#Ready", "Age", "+Containers", "+Images", "+Selector"),
		Cells: cells(func(r *appsv1.ReplicaSet, now time.Time) []any {
			names, refs := images(r.Spec.Template.Spec.Containers)
			return []any{
				r.Name, int64(deref(r.Spec.Replicas, 1)), int64(r.Status.Replicas), int64(r.Status.ReadyReplicas),
				age(r.ObjectMeta, now), names, refs, selectorText(r.Spec.Selector),
			}
		}),
		Fields: selectable(func(r *appsv1.ReplicaSet) fields.Set {
			return fields.Set{"status.replicas": fmt.Sprint(r.Status.Replicas)}
		}),
	}
}

func replicaCounts(replicas, labeled, ready, available int32, path *field.Path) field.ErrorList {
	errs := nonNegative(replicas, path.Child("replicas"))
	errs = append(errs, atMost(labeled, replicas, path.Child("fullyLabeledReplicas"), "status.replicas")...)
	errs = append(errs, atMost(ready, replicas, path.Child("readyReplicas"), "status.replicas")...)
	return append(errs, atMost(available, ready, path.Child("availableReplicas"), "readyReplicas")...)
}

func replicationController() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("ReplicationController"),
		Resource:   "replicationcontrollers",
		ShortNames: []string{"rc"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,
		Scale: scale(
			func(r *corev1.ReplicationController) (int32, int32) {
				return deref(r.Spec.Replicas, 1), r.Status.Replicas
			},
			func(r *corev1.ReplicationController, n int32) { r.Spec.Replicas = &n },
			func(r *corev1.ReplicationController) string {
				return labels.SelectorFromSet(r.Spec.Selector).String()
			},
		),

		Default:  on(defaultReplicationController),
		Validate: check(validateReplicationController),
		ValidateStatusUpdate: checkUpdate(func(r, _ *corev1.ReplicationController) field.ErrorList {
			s := &r.Status
			return replicaCounts(s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, field.NewPath("status"))
		}),

		Columns: columns("Name", "#Desired", "#Current", "#Ready", "Age", "+Containers", "+Images", "+Selector"),
		Cells: cells(func(r *corev1.ReplicationController, now time.Time) []any {
			var names, refs string
			if r.Spec.Template != nil {
				names, refs = images(r.Spec.Template.Spec.Containers)
			}
			return []any{
				r.Name, int64(deref(r.Spec.Replicas, 1)), int64(r.Status.Replicas), int64(r.Status.ReadyReplicas),
				age(r.ObjectMeta, now), names, refs, labelsText(r.Spec.Selector),
			}
		}),
		Fields: selectable(func(r *corev1.ReplicationController) fields.Set {
			return fields.Set{"status.replicas": fmt.Sprint(r.Status.Replicas)}
		}),
	}
}

// defaultReplicationController takes labels and selector from the template where
// they are not given.
func defaultReplicationController(r *corev1.ReplicationController) {
	setDefaultPtr(&r.Spec.Replicas, 1)
	if r.Spec.Template == nil {
		return
	}
	defaultTemplate(r.Spec.Template)
	if len(r.Spec.Selector) == 0 {
		r.Spec.Selector = copyLabels(r.Spec.Template.Labels)
	}
	if len(r.Labels) == 0 {
		r.Labels = copyLabels(r.Spec.Template.Labels)
	}
}

func copyLabels(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func validateReplicationController(r *corev1.ReplicationController) field.ErrorList {
	s, spec := &r.Spec, field.NewPath("spec")
	errs := nonNegativePtr(s.Replicas, spec.Child("replicas"))
	errs = append(errs, nonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
	if len(s.Selector) == 0 {
		errs = append(errs, field.Required(spec.Child("selector"), ""))
	}
	errs = append(errs, metavalidation.ValidateLabels(s.Selector, spec.Child("selector"))...)
	if s.Template == nil {
		return append(errs, field.Required(spec.Child("template"), ""))
	}
	if len(s.Selector) > 0 && !selects(s.Selector, s.Template.Labels) {
		errs = append(errs, field.Invalid(spec.Child("template", "metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	errs = append(errs, validateTemplate(s.Template, spec.Child("template"), corev1.RestartPolicyAlways)...)
	return append(errs, noDeadline(s.Template, spec)...)
}
