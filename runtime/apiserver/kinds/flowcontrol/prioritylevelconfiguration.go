package flowcontrol

import (
	"fmt"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func priorityLevelConfiguration() kind.Kind {
	return kind.Kind{
		GVK:          flowcontrolv1.SchemeGroupVersion.WithKind("PriorityLevelConfiguration"),
		Resource:     "prioritylevelconfigurations",
		Generation:   true,
		Status:       true,
		StatusKeeps:  kind.AllMetadata,
		NoWatchCache: true,
		Default: kind.On(func(p *flowcontrolv1.PriorityLevelConfiguration) {
			if e := p.Spec.Exempt; e != nil || p.Spec.Type == flowcontrolv1.PriorityLevelEnablementExempt {
				kind.SetDefaultPtr(&p.Spec.Exempt, flowcontrolv1.ExemptPriorityLevelConfiguration{})
				kind.SetDefaultPtr(&p.Spec.Exempt.NominalConcurrencyShares, 0)
				kind.SetDefaultPtr(&p.Spec.Exempt.LendablePercent, 0)
			}
			l := p.Spec.Limited
			if l == nil {
				return
			}
			kind.SetDefaultPtr(&l.NominalConcurrencyShares, 30)
			kind.SetDefaultPtr(&l.LendablePercent, 0)
			if q := l.LimitResponse.Queuing; q != nil {
				kind.SetDefault(&q.Queues, 64)
				kind.SetDefault(&q.HandSize, 8)
				kind.SetDefault(&q.QueueLengthLimit, 50)
			}
		}),
		Declared: kind.Declared(Validate_PriorityLevelConfiguration),
		Validate: kind.Check(validatePriorityLevel),
		Columns:  printers.Columns("Name", "Type", "NominalConcurrencyShares", "Queues", "HandSize", "QueueLengthLimit", "Age"),
		Cells: kind.Cells(func(p *flowcontrolv1.PriorityLevelConfiguration, now time.Time) []any {
			shares, queues, hand, length := printers.None, printers.None, printers.None, printers.None
			if l := p.Spec.Limited; l != nil {
				shares = fmt.Sprint(ptr.Deref(l.NominalConcurrencyShares, 30))
				if q := l.LimitResponse.Queuing; q != nil {
					queues, hand, length = fmt.Sprint(q.Queues), fmt.Sprint(q.HandSize), fmt.Sprint(q.QueueLengthLimit)
				}
			}
			return []any{p.Name, string(p.Spec.Type), shares, queues, hand, length, printers.Age(p.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

func validatePriorityLevel(p *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	s, spec := &p.Spec, field.NewPath("spec")
	errs := validate.OneOfOrEmpty(s.Type, spec.Child("type"), flowcontrolv1.PriorityLevelEnablementExempt, flowcontrolv1.PriorityLevelEnablementLimited)
	for _, f := range []struct {
		name   string
		shares *int32
	}{
		{"exempt", exemptShares(s.Exempt)},
		{"limited", limitedShares(s.Limited)},
	} {
		errs = append(errs, validate.NonNegativePtr(f.shares, spec.Child(f.name, "nominalConcurrencyShares"))...)
	}
	l := s.Limited
	if l == nil {
		return errs
	}
	limited := spec.Child("limited")
	if n := l.LendablePercent; n != nil && (*n < 0 || *n > 100) {
		errs = append(errs, field.Invalid(limited.Child("lendablePercent"), *n, "must be between 0 and 100, inclusive"))
	}
	errs = append(errs, validate.NonNegativePtr(l.BorrowingLimitPercent, limited.Child("borrowingLimitPercent"))...)
	response := limited.Child("limitResponse")
	errs = append(errs, validate.OneOfOrEmpty(l.LimitResponse.Type, response.Child("type"), flowcontrolv1.LimitResponseTypeQueue, flowcontrolv1.LimitResponseTypeReject)...)
	q := l.LimitResponse.Queuing
	if q != nil {
		errs = append(errs, validate.Positive(q.Queues, response.Child("queuing", "queues"))...)
		errs = append(errs, validate.Positive(q.HandSize, response.Child("queuing", "handSize"))...)
		errs = append(errs, validate.Positive(q.QueueLengthLimit, response.Child("queuing", "queueLengthLimit"))...)
		if q.HandSize > q.Queues {
			errs = append(errs, field.Invalid(response.Child("queuing", "handSize"), q.HandSize, "should not be greater than queues"))
		}
	}
	return errs
}

func exemptShares(e *flowcontrolv1.ExemptPriorityLevelConfiguration) *int32 {
	if e == nil {
		return nil
	}
	return e.NominalConcurrencyShares
}

func limitedShares(l *flowcontrolv1.LimitedPriorityLevelConfiguration) *int32 {
	if l == nil {
		return nil
	}
	return l.NominalConcurrencyShares
}
