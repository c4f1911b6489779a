package coordination

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func lease() kind.Kind {
	return kind.Kind{
		GVK:        coordinationv1.SchemeGroupVersion.WithKind("Lease"),
		Resource:   "leases",
		Namespaced: true,
		Validate: kind.Check(func(l *coordinationv1.Lease) field.ErrorList {
			s, spec := &l.Spec, field.NewPath("spec")
			var errs field.ErrorList
			if s.LeaseDurationSeconds != nil {
				errs = append(errs, validate.Positive(*s.LeaseDurationSeconds, spec.Child("leaseDurationSeconds"))...)
			}
			errs = append(errs, validate.NonNegativePtr(s.LeaseTransitions, spec.Child("leaseTransitions"))...)
			if s.PreferredHolder != nil && *s.PreferredHolder != "" && s.Strategy == nil {
				errs = append(errs, field.Forbidden(spec.Child("preferredHolder"), "may only be specified if `strategy` is defined"))
			}
			return errs
		}),
		Columns: printers.Columns("Name", "Holder", "Age"),
		Cells: kind.Cells(func(l *coordinationv1.Lease, now time.Time) []any {
			return []any{l.Name, ptr.Deref(l.Spec.HolderIdentity, ""), printers.Age(l.ObjectMeta, now)}
		}),
		CreateOnUpdate:         true,
		RequireResourceVersion: true,
	}
}
