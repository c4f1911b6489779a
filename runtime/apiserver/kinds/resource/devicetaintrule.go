package resource

import (
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func deviceTaintRule() kind.Kind {
	return kind.Kind{
		GVK:                    resourcev1.SchemeGroupVersion.WithKind("DeviceTaintRule"),
		Resource:               "devicetaintrules",
		Status:                 true,
		StatusKeeps:            kind.AllMetadata,
		Generation:             true,
		NoWatchCache:           true,
		RequireResourceVersion: true,
		Declared:               declared(Validate_DeviceTaintRule),
		DefaultTimes: kind.StampNew(func(r *resourcev1.DeviceTaintRule, now time.Time) {
			stampTaint(&r.Spec.Taint, now)
		}),
		// The time is that of the effect.
		StampUpdate: kind.Stamp(func(r, old *resourcev1.DeviceTaintRule, now time.Time) {
			if taint := &r.Spec.Taint; taint.Effect != old.Spec.Taint.Effect && taint.TimeAdded.Equal(old.Spec.Taint.TimeAdded) {
				taint.TimeAdded = nil
				stampTaint(taint, now)
			}
		}),
		Validate: kind.Check(func(r *resourcev1.DeviceTaintRule) field.ErrorList {
			spec := field.NewPath("spec")
			errs := validateTaint(r.Spec.Taint, spec.Child("taint"))
			s, at := r.Spec.DeviceSelector, spec.Child("deviceSelector")
			if s == nil {
				return errs
			}
			if s.Driver != nil {
				errs = append(errs, validate.CSIDriverName(*s.Driver, at.Child("driver"))...)
			}
			if s.Pool != nil {
				errs = append(errs, poolName(*s.Pool, at.Child("pool"))...)
			}
			if s.Device != nil {
				errs = append(errs, label(*s.Device, at.Child("device"))...)
			}
			return errs
		}),
		ValidateStatusUpdate: kind.CheckUpdate(func(r, _ *resourcev1.DeviceTaintRule) field.ErrorList {
			conditions := field.NewPath("status", "conditions")
			errs := metavalidation.ValidateConditions(r.Status.Conditions, conditions)
			return append(errs, few(r.Status.Conditions, resourcev1.DeviceTaintRuleStatusMaxConditions, conditions)...)
		}),
		Warnings: kind.Warnings(func(r *resourcev1.DeviceTaintRule) []string {
			return warnOfTaint(r.Spec.Taint, field.NewPath("spec", "taint"))
		}),
		Columns: printers.Columns("Name", "Key", "Value", "Effect", "TimeAdded", "Age"),
		Cells: kind.Cells(func(r *resourcev1.DeviceTaintRule, now time.Time) []any {
			taint, added := r.Spec.Taint, ""
			if taint.TimeAdded != nil {
				added = printers.Since(*taint.TimeAdded, now)
			}
			return []any{r.Name, taint.Key, taint.Value, string(taint.Effect), added, printers.Age(r.ObjectMeta, now)}
		}),
	}
}

// stampTaint says since when a taint is there, in the seconds that are stored.
func stampTaint(t *resourcev1.DeviceTaint, now time.Time) {
	if t.TimeAdded == nil {
		t.TimeAdded = &metav1.Time{Time: now.Truncate(time.Second)}
	}
}

// validateTaint leaves out the effect, which is declared.
func validateTaint(t resourcev1.DeviceTaint, path *field.Path) field.ErrorList {
	errs := validate.QualifiedName(t.Key, path.Child("key"))
	if t.Value != "" {
		errs = append(errs, labelValue(t.Value, path.Child("value"))...)
	}
	return errs
}

// warnOfTaint tells that a taint does no more than keep pods from being scheduled.
func warnOfTaint(t resourcev1.DeviceTaint, path *field.Path) []string {
	if t.Effect != resourcev1.DeviceTaintEffectNoExecute {
		return nil
	}
	return []string{path.Child("effect").String() + ": not supported by this cluster yet: no pod is evicted from a device, NoExecute does what NoSchedule does"}
}
