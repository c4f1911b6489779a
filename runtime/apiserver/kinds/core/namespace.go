package core

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func namespace() kind.Kind {
	return kind.Kind{
		GVK:            corev1.SchemeGroupVersion.WithKind("Namespace"),
		Resource:       "namespaces",
		ReturnsDeleted: true,
		ShortNames:     []string{"ns"},
		Storage:        kind.FinalizedBySpec,
		Status:         true,
		Subresources: []kind.Subresource{{Name: "finalize", Served: kind.Finalize, Validate: kind.CheckUpdate(func(n, _ *corev1.Namespace) field.ErrorList {
			return specFinalizers(n, field.NewPath("spec", "finalizers").Index)
		})}},

		Default: kind.On(func(n *corev1.Namespace) {
			kind.SetDefault(&n.Status.Phase, corev1.NamespaceActive)
			if n.Name == "" {
				return // the name of a generateName is not known yet
			}
			if n.Labels == nil {
				n.Labels = map[string]string{}
			}
			n.Labels[corev1.LabelMetadataName] = n.Name
		}),
		PrepareForCreate: kind.On(func(n *corev1.Namespace) {
			n.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
			for _, f := range n.Spec.Finalizers {
				if f == corev1.FinalizerKubernetes {
					return
				}
			}
			n.Spec.Finalizers = append(n.Spec.Finalizers, corev1.FinalizerKubernetes)
		}),
		PrepareForUpdate: kind.OnUpdate(func(n, old *corev1.Namespace) {
			// Only the finalize subresource takes finalizers away.
			n.Spec.Finalizers = old.Spec.Finalizers
		}),
		Validate: kind.Check(func(n *corev1.Namespace) field.ErrorList {
			return specFinalizers(n, func(int) *field.Path { return field.NewPath("spec", "finalizers") })
		}),
		ValidateStatusUpdate: kind.CheckUpdate(func(n, _ *corev1.Namespace) field.ErrorList {
			phase := field.NewPath("status", "Phase") // upstream's spelling
			if n.DeletionTimestamp == nil && n.Status.Phase != corev1.NamespaceActive {
				return field.ErrorList{field.Invalid(phase, n.Status.Phase, "may only be 'Active' if `deletionTimestamp` is empty")}
			}
			if n.DeletionTimestamp != nil && n.Status.Phase != corev1.NamespaceTerminating {
				return field.ErrorList{field.Invalid(phase, n.Status.Phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")}
			}
			return nil
		}),
		ValidateName: apivalidation.NameIsDNSLabel,

		Columns: printers.Columns("Name", "Status", "Age"),
		Cells: kind.Cells(func(n *corev1.Namespace, now time.Time) []any {
			return []any{n.Name, string(n.Status.Phase), printers.Age(n.ObjectMeta, now)}
		}),
		Fields: kind.Fields(func(n *corev1.Namespace) fields.Set {
			return fields.Set{"status.phase": string(n.Status.Phase)}
		}),
	}
}

// specFinalizers are Kubernetes' own, or of a domain. Upstream does not always say which of them
// is wrong.
func specFinalizers(n *corev1.Namespace, at func(int) *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, f := range n.Spec.Finalizers {
		errs = append(errs, apivalidation.ValidateFinalizerName(string(f), at(i))...)
		switch string(f) {
		case string(corev1.FinalizerKubernetes), metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents:
			continue
		}
		if !strings.Contains(string(f), "/") {
			errs = append(errs, field.Invalid(at(i), f, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}
