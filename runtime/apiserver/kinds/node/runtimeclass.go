package node

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func runtimeClass() kind.Kind {
	return kind.Kind{
		GVK:          nodev1.SchemeGroupVersion.WithKind("RuntimeClass"),
		Resource:     "runtimeclasses",
		AnyFinalizer: true,
		NoWatchCache: true,
		Declared:     kind.Declared(Validate_RuntimeClass),
		Validate: kind.Check(func(c *nodev1.RuntimeClass) field.ErrorList {
			var errs field.ErrorList
			if c.Overhead != nil {
				errs = append(errs, validate.ResourceList(c.Overhead.PodFixed, field.NewPath("overhead", "limits"))...)
			}
			if c.Scheduling != nil {
				path := field.NewPath("scheduling")
				errs = append(errs, validate.Labels(c.Scheduling.NodeSelector, path.Child("nodeSelector"))...)
				errs = append(errs, core.ValidateTolerations(c.Scheduling.Tolerations, path.Child("tolerations"))...)
				for i, t := range c.Scheduling.Tolerations {
					if slices.ContainsFunc(c.Scheduling.Tolerations[:i], func(o corev1.Toleration) bool { return equality.Semantic.DeepEqual(o, t) }) {
						errs = append(errs, field.Duplicate(path.Child("tolerations").Index(i), t))
					}
				}
			}
			return errs
		}),
		Columns: printers.Columns("Name", "Handler", "Age"),
		Cells: kind.Cells(func(c *nodev1.RuntimeClass, now time.Time) []any {
			return []any{c.Name, c.Handler, printers.Age(c.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}
