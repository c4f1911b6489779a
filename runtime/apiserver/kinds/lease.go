package kinds

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func lease() Kind {
	return Kind{
		GVK:        coordinationv1.SchemeGroupVersion.WithKind("Lease"),
		Resource:   "leases",
		Namespaced: true,
		Validate: check(func(l *coordinationv1.Lease) field.ErrorList {
			s, spec := &l.Spec, field.NewPath("spec")
			var errs field.ErrorList
			if s.LeaseDurationSeconds != nil {
				errs = append(errs, positive(*s.LeaseDurationSeconds, spec.Child("leaseDurationSeconds"))...)
			}
			errs = append(errs, nonNegativePtr(s.LeaseTransitions, spec.Child("leaseTransitions"))...)
			if s.PreferredHolder != nil && *s.PreferredHolder != "" && s.Strategy == nil {
				errs = append(errs, field.Forbidden(spec.Child("preferredHolder"), "may only be specified if `strategy` is defined"))
			}
			return errs
		}),
		Columns: columns("Name", "Holder", "Age"),
		Cells: cells(func(l *coordinationv1.Lease, now time.Time) []any {
			return []any{l.Name, deref(l.Spec.HolderIdentity, ""), age(l.ObjectMeta, now)}
		}),
		CreateOnUpdate:         true,
		RequireResourceVersion: true,
	}
}
