package kinds

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// highestUserPriority is the most that a user's class may give; what is above
	// is the system's.
	highestUserPriority   = 1000000000
	systemPriorityPrefix  = "system-"
	systemClusterCritical = "system-cluster-critical"
	systemNodeCritical    = "system-node-critical"
)

func priorityClass() Kind {
	return Kind{
		GVK:        schedulingv1.SchemeGroupVersion.WithKind("PriorityClass"),
		Resource:   "priorityclasses",
		ShortNames: []string{"pc"},
		Default: on(func(c *schedulingv1.PriorityClass) {
			setDefaultPtr(&c.PreemptionPolicy, corev1.PreemptLowerPriority)
		}),
		Validate: check(func(c *schedulingv1.PriorityClass) field.ErrorList {
			var errs field.ErrorList
			system := c.Name == systemClusterCritical || c.Name == systemNodeCritical
			if strings.HasPrefix(c.Name, systemPriorityPrefix) && !system {
				errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"),
					"priority class names with '"+systemPriorityPrefix+"' prefix are reserved for system use only"))
			}
			if c.Value > highestUserPriority && !system {
				errs = append(errs, field.Forbidden(field.NewPath("value"), fmt.Sprintf("maximum allowed value of a user defined priority is %d", highestUserPriority)))
			}
			if c.PreemptionPolicy != nil {
				errs = append(errs, oneOf(*c.PreemptionPolicy, field.NewPath("preemptionPolicy"), corev1.PreemptLowerPriority, corev1.PreemptNever)...)
			}
			return errs
		}),
		ValidateUpdate: checkUpdate(func(c, old *schedulingv1.PriorityClass) field.ErrorList {
			var errs field.ErrorList
			if c.Value != old.Value {
				errs = append(errs, field.Forbidden(field.NewPath("value"), "may not be changed in an update."))
			}
			return append(errs, immutable(c.PreemptionPolicy, old.PreemptionPolicy, field.NewPath("preemptionPolicy"))...)
		}),
		Columns: columns("Name", "#Value", "Global-Default", "Age", "PreemptionPolicy"),
		Cells: cells(func(c *schedulingv1.PriorityClass, now time.Time) []any {
			return []any{c.Name, int64(c.Value), fmt.Sprint(c.GlobalDefault), age(c.ObjectMeta, now), string(deref(c.PreemptionPolicy, ""))}
		}),
	}
}

func runtimeClass() Kind {
	return Kind{
		GVK:      nodev1.SchemeGroupVersion.WithKind("RuntimeClass"),
		Resource: "runtimeclasses",
		Validate: check(func(c *nodev1.RuntimeClass) field.ErrorList {
			errs := dnsLabel(c.Handler, field.NewPath("handler"))
			if c.Overhead != nil {
				errs = append(errs, resources(c.Overhead.PodFixed, field.NewPath("overhead", "podFixed"))...)
			}
			if c.Scheduling != nil {
				path := field.NewPath("scheduling")
				errs = append(errs, metavalidation.ValidateLabels(c.Scheduling.NodeSelector, path.Child("nodeSelector"))...)
				errs = append(errs, validateTolerations(c.Scheduling.Tolerations, path.Child("tolerations"))...)
			}
			return errs
		}),
		ValidateUpdate: checkUpdate(func(c, old *nodev1.RuntimeClass) field.ErrorList {
			return immutable(c.Handler, old.Handler, field.NewPath("handler"))
		}),
		Columns: columns("Name", "Handler", "Age"),
		Cells: cells(func(c *nodev1.RuntimeClass, now time.Time) []any {
			return []any{c.Name, c.Handler, age(c.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}
