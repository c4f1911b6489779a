package core

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func podTemplate() kind.Kind {
	return kind.Kind{
		GVK:            corev1.SchemeGroupVersion.WithKind("PodTemplate"),
		Resource:       "podtemplates",
		Generation:     true,
		ReturnsDeleted: true,
		Namespaced:     true,
		NoWatchCache:   true,
		Default:        kind.On(SetObjectDefaults_PodTemplate, func(t *corev1.PodTemplate) { DefaultPodTemplate(&t.Template) }),
		Drop:           kind.On(func(t *corev1.PodTemplate) { DropDisabled(&t.Template) }),
		Unsupported: kind.Check(func(t *corev1.PodTemplate) field.ErrorList {
			return UnsupportedPodTemplate(&t.Template, field.NewPath("template"))
		}),
		Declared: kind.Declared(Validate_PodTemplate),
		Validate: kind.Check(func(t *corev1.PodTemplate) field.ErrorList {
			return ValidatePodTemplate(&t.Template, field.NewPath("template"),
				corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
		}),
		Warnings: kind.Warnings(func(o *corev1.PodTemplate) []string {
			return TemplateWarnings(&o.Template, field.NewPath("template"))
		}),
		WarnsOnChange: true,
		Columns:       printers.Columns("Name", "Containers", "Images", "Pod Labels"),
		Cells: kind.Cells(func(t *corev1.PodTemplate, _ time.Time) []any {
			names, refs := printers.Images(t.Template.Spec.Containers)
			return []any{t.Name, names, refs, printers.Labels(t.Template.Labels)}
		}),
	}
}
