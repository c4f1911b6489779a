package apps

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func controllerRevision() kind.Kind {
	return kind.Kind{
		GVK:          appsv1.SchemeGroupVersion.WithKind("ControllerRevision"),
		Resource:     "controllerrevisions",
		Namespaced:   true,
		NoWatchCache: true,
		Validate: kind.Check(func(r *appsv1.ControllerRevision) field.ErrorList {
			var errs field.ErrorList
			if len(r.Data.Raw) == 0 && r.Data.Object == nil {
				errs = append(errs, field.Required(field.NewPath("data"), "data is mandatory"))
			}
			return append(errs, validate.NonNegative(r.Revision, field.NewPath("revision"))...)
		}),
		ValidateUpdate: kind.CheckUpdate(func(r, old *appsv1.ControllerRevision) field.ErrorList {
			return validate.Immutable(r.Data, old.Data, field.NewPath("data"))
		}),
		Columns: printers.Columns("Name", "Controller", "Revision", "Age"),
		Cells: kind.Cells(func(r *appsv1.ControllerRevision, now time.Time) []any {
			owner := printers.None
			if c := metav1.GetControllerOf(r); c != nil {
				owner = strings.ToLower(c.Kind) + "/" + c.Name
				if group, _, ok := strings.Cut(c.APIVersion, "/"); ok {
					owner = strings.ToLower(c.Kind) + "." + group + "/" + c.Name
				}
			}
			return []any{r.Name, owner, r.Revision, printers.Age(r.ObjectMeta, now)}
		}),
	}
}
