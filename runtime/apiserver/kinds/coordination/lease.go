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
		GVK:          coordinationv1.SchemeGroupVersion.WithKind("Lease"),
		Resource:     "leases",
		AnyFinalizer: true,
		Namespaced:   true,
		// Elections that the API server coordinates are not there: what is for them is dropped.
		PrepareForCreate: kind.On(dropCoordination),
		PrepareForUpdate: kind.OnUpdate(func(l, _ *coordinationv1.Lease) { dropCoordination(l) }),
		Validate: kind.Check(func(l *coordinationv1.Lease) field.ErrorList {
			s, spec := &l.Spec, field.NewPath("spec")
			var errs field.ErrorList
			if s.LeaseDurationSeconds != nil {
				errs = append(errs, validate.Positive(*s.LeaseDurationSeconds, spec.Child("leaseDurationSeconds"))...)
			}
			errs = append(errs, validate.NonNegativePtr(s.LeaseTransitions, spec.Child("leaseTransitions"))...)
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

func dropCoordination(l *coordinationv1.Lease) { l.Spec.Strategy, l.Spec.PreferredHolder = nil, nil }
