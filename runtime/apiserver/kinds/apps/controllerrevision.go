package apps

import (
	"encoding/json"
	"fmt"
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
			return validate.NonNegative(r.Revision, field.NewPath("revision"))
		}),
		ValidateCreate: kind.Check(validateRevisionData),
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

func validateRevisionData(r *appsv1.ControllerRevision) field.ErrorList {
	path := field.NewPath("data")
	if r.Data.Raw == nil {
		return field.ErrorList{field.Required(path, "data is mandatory")}
	}
	var data any
	if err := json.Unmarshal(r.Data.Raw, &data); err != nil {
		return field.ErrorList{field.Invalid(path, "<value omitted>", fmt.Sprintf("error parsing data: %v", err))}
	}
	switch data.(type) {
	case nil:
		return field.ErrorList{field.Required(path, "data is mandatory")}
	case map[string]any:
		return nil
	}
	return field.ErrorList{field.Required(path, "data must be a valid JSON object")}
}
