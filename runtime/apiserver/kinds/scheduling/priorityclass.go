package scheduling

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

const (
	// highestUserPriority is the most that a user's class may give; what is above
	// is the system's.
	highestUserPriority   = 1000000000
	systemPriorityPrefix  = "system-"
	systemClusterCritical = "system-cluster-critical"
	systemNodeCritical    = "system-node-critical"
)

func priorityClass() kind.Kind {
	return kind.Kind{
		GVK:        schedulingv1.SchemeGroupVersion.WithKind("PriorityClass"),
		Resource:   "priorityclasses",
		ShortNames: []string{"pc"},
		// Nothing that may change of one is more than metadata.
		PrepareForCreate: kind.On(func(c *schedulingv1.PriorityClass) { c.Generation = 1 }),
		Default: kind.On(func(c *schedulingv1.PriorityClass) {
			kind.SetDefaultPtr(&c.PreemptionPolicy, corev1.PreemptLowerPriority)
		}),
		Validate: kind.Check(func(c *schedulingv1.PriorityClass) field.ErrorList {
			var errs field.ErrorList
			system := c.Name == systemClusterCritical || c.Name == systemNodeCritical
			if strings.HasPrefix(c.Name, systemPriorityPrefix) && !system {
				errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"),
					"priority class names with '"+systemPriorityPrefix+"' prefix are reserved for system use only"))
			}
			if c.Value > highestUserPriority && !system {
				errs = append(errs, field.Forbidden(field.NewPath("value"), fmt.Sprintf("maximum allowed value of a user defined priority is %d", highestUserPriority)))
			}
			return errs
		}),
		// Later it cannot be changed at all.
		ValidateCreate: kind.Check(func(c *schedulingv1.PriorityClass) field.ErrorList {
			if c.PreemptionPolicy == nil {
				return nil
			}
			return validate.OneOf(*c.PreemptionPolicy, field.NewPath("preemptionPolicy"), corev1.PreemptLowerPriority, corev1.PreemptNever)
		}),
		ValidateUpdate: kind.CheckUpdate(func(c, old *schedulingv1.PriorityClass) field.ErrorList {
			var errs field.ErrorList
			if c.Value != old.Value {
				errs = append(errs, field.Forbidden(field.NewPath("value"), "may not be changed in an update."))
			}
			return append(errs, validate.Immutable(c.PreemptionPolicy, old.PreemptionPolicy, field.NewPath("preemptionPolicy"))...)
		}),
		Columns: printers.Columns("Name", "#Value", "?Global-Default", "Age", "PreemptionPolicy"),
		Cells: kind.Cells(func(c *schedulingv1.PriorityClass, now time.Time) []any {
			return []any{c.Name, int64(c.Value), c.GlobalDefault, printers.Age(c.ObjectMeta, now), string(ptr.Deref(c.PreemptionPolicy, ""))}
		}),
	}
}
