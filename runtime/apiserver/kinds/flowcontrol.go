package kinds

import (
	"fmt"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func flowSchema() Kind {
	return Kind{
		GVK:      flowcontrolv1.SchemeGroupVersion.WithKind("FlowSchema"),
		Resource: "flowschemas",
		Status:   true,
		Default: on(func(f *flowcontrolv1.FlowSchema) {
			setDefault(&f.Spec.MatchingPrecedence, 1000)
		}),
		Validate: check(validateFlowSchema),
		Columns:  columns("Name", "PriorityLevel", "#MatchingPrecedence", "DistinguisherMethod", "Age", "MissingPL"),
		Cells: cells(func(f *flowcontrolv1.FlowSchema, now time.Time) []any {
			method, dangling := none, "?"
			if m := f.Spec.DistinguisherMethod; m != nil {
				method = string(m.Type)
			}
			for _, c := range f.Status.Conditions {
				if c.Type == flowcontrolv1.FlowSchemaConditionDangling {
					dangling = string(c.Status)
				}
			}
			return []any{f.Name, f.Spec.PriorityLevelConfiguration.Name, int64(f.Spec.MatchingPrecedence), method, age(f.ObjectMeta, now), dangling}
		}),
		RequireResourceVersion: true,
	}
}

func validateFlowSchema(f *flowcontrolv1.FlowSchema) field.ErrorList {
	s, spec := &f.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if s.MatchingPrecedence < 1 || s.MatchingPrecedence > 10000 {
		errs = append(errs, field.Invalid(spec.Child("matchingPrecedence"), s.MatchingPrecedence, "must be in the range 1-10000, inclusive"))
	}
	errs = append(errs, dnsSubdomain(s.PriorityLevelConfiguration.Name, spec.Child("priorityLevelConfiguration", "name"))...)
	if s.DistinguisherMethod != nil {
		errs = append(errs, oneOf(s.DistinguisherMethod.Type, spec.Child("distinguisherMethod", "type"),
			flowcontrolv1.FlowDistinguisherMethodByNamespaceType, flowcontrolv1.FlowDistinguisherMethodByUserType)...)
	}
	for i := range s.Rules {
		r, at := &s.Rules[i], spec.Child("rules").Index(i)
		if len(r.Subjects) == 0 {
			errs = append(errs, field.Required(at.Child("subjects"), "subjects must contain at least one value"))
		}
		for k := range r.Subjects {
			errs = append(errs, validateFlowSubject(&r.Subjects[k], at.Child("subjects").Index(k))...)
		}
		if len(r.ResourceRules)+len(r.NonResourceRules) == 0 {
			errs = append(errs, field.Required(at, "at least one of resourceRules and nonResourceRules has to be non-empty"))
		}
		for k, rr := range r.ResourceRules {
			p := at.Child("resourceRules").Index(k)
			errs = append(errs, notEmpty(p, map[string][]string{"verbs": rr.Verbs, "apiGroups": rr.APIGroups, "resources": rr.Resources})...)
			if len(rr.Namespaces) == 0 && !rr.ClusterScope {
				errs = append(errs, field.Required(p.Child("namespaces"), "resource rules that are not cluster scoped must supply at least one namespace"))
			}
		}
		for k, nr := range r.NonResourceRules {
			errs = append(errs, notEmpty(at.Child("nonResourceRules").Index(k), map[string][]string{"verbs": nr.Verbs, "nonResourceURLs": nr.NonResourceURLs})...)
		}
	}
	return errs
}

func notEmpty(path *field.Path, lists map[string][]string) field.ErrorList {
	var errs field.ErrorList
	for name, list := range lists {
		if len(list) == 0 {
			errs = append(errs, field.Required(path.Child(name), name+" must contain at least one value"))
		}
	}
	return errs
}

func validateFlowSubject(s *flowcontrolv1.Subject, path *field.Path) field.ErrorList {
	switch s.Kind {
	case flowcontrolv1.SubjectKindUser:
		if s.User == nil {
			return field.ErrorList{field.Required(path.Child("user"), "user is required when subject kind is 'User'")}
		}
		return required(s.User.Name, path.Child("user", "name"))
	case flowcontrolv1.SubjectKindGroup:
		if s.Group == nil {
			return field.ErrorList{field.Required(path.Child("group"), "group is required when subject kind is 'Group'")}
		}
		return required(s.Group.Name, path.Child("group", "name"))
	case flowcontrolv1.SubjectKindServiceAccount:
		if s.ServiceAccount == nil {
			return field.ErrorList{field.Required(path.Child("serviceAccount"), "serviceAccount is required when subject kind is 'ServiceAccount'")}
		}
		errs := required(s.ServiceAccount.Name, path.Child("serviceAccount", "name"))
		return append(errs, required(s.ServiceAccount.Namespace, path.Child("serviceAccount", "namespace"))...)
	}
	return field.ErrorList{field.NotSupported(path.Child("kind"), s.Kind, []flowcontrolv1.SubjectKind{
		flowcontrolv1.SubjectKindUser, flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount})}
}

func priorityLevelConfiguration() Kind {
	return Kind{
		GVK:      flowcontrolv1.SchemeGroupVersion.WithKind("PriorityLevelConfiguration"),
		Resource: "prioritylevelconfigurations",
		Status:   true,
		Default: on(func(p *flowcontrolv1.PriorityLevelConfiguration) {
			if e := p.Spec.Exempt; e != nil || p.Spec.Type == flowcontrolv1.PriorityLevelEnablementExempt {
				setDefaultPtr(&p.Spec.Exempt, flowcontrolv1.ExemptPriorityLevelConfiguration{})
				setDefaultPtr(&p.Spec.Exempt.NominalConcurrencyShares, 0)
				setDefaultPtr(&p.Spec.Exempt.LendablePercent, 0)
			}
			l := p.Spec.Limited
			if l == nil {
				return
			}
			setDefaultPtr(&l.NominalConcurrencyShares, 30)
			setDefaultPtr(&l.LendablePercent, 0)
			if q := l.LimitResponse.Queuing; q != nil {
				setDefault(&q.Queues, 64)
				setDefault(&q.HandSize, 8)
				setDefault(&q.QueueLengthLimit, 50)
			}
		}),
		Validate: check(validatePriorityLevel),
		Columns:  columns("Name", "Type", "NominalConcurrencyShares", "Queues", "HandSize", "QueueLengthLimit", "Age"),
		Cells: cells(func(p *flowcontrolv1.PriorityLevelConfiguration, now time.Time) []any {
			shares, queues, hand, length := none, none, none, none
			if l := p.Spec.Limited; l != nil {
				shares = fmt.Sprint(deref(l.NominalConcurrencyShares, 30))
				if q := l.LimitResponse.Queuing; q != nil {
					queues, hand, length = fmt.Sprint(q.Queues), fmt.Sprint(q.HandSize), fmt.Sprint(q.QueueLengthLimit)
				}
			}
			return []any{p.Name, string(p.Spec.Type), shares, queues, hand, length, age(p.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

func validatePriorityLevel(p *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	s, spec := &p.Spec, field.NewPath("spec")
	errs := oneOf(s.Type, spec.Child("type"), flowcontrolv1.PriorityLevelEnablementExempt, flowcontrolv1.PriorityLevelEnablementLimited)
	switch {
	case s.Type == flowcontrolv1.PriorityLevelEnablementExempt && s.Limited != nil:
		return append(errs, field.Forbidden(spec.Child("limited"), "must be nil if the type is not Limited"))
	case s.Type == flowcontrolv1.PriorityLevelEnablementLimited && s.Exempt != nil:
		return append(errs, field.Forbidden(spec.Child("exempt"), "must be nil if the type is Limited"))
	case s.Type == flowcontrolv1.PriorityLevelEnablementLimited && s.Limited == nil:
		return append(errs, field.Required(spec.Child("limited"), "must not be empty when type is Limited"))
	}
	for at, shares := range map[string]*int32{"exempt": exemptShares(s.Exempt), "limited": limitedShares(s.Limited)} {
		errs = append(errs, nonNegativePtr(shares, spec.Child(at, "nominalConcurrencyShares"))...)
	}
	l := s.Limited
	if l == nil {
		return errs
	}
	limited := spec.Child("limited")
	if n := l.LendablePercent; n != nil && (*n < 0 || *n > 100) {
		errs = append(errs, field.Invalid(limited.Child("lendablePercent"), *n, "must be between 0 and 100, inclusive"))
	}
	errs = append(errs, nonNegativePtr(l.BorrowingLimitPercent, limited.Child("borrowingLimitPercent"))...)
	response := limited.Child("limitResponse")
	errs = append(errs, oneOf(l.LimitResponse.Type, response.Child("type"), flowcontrolv1.LimitResponseTypeQueue, flowcontrolv1.LimitResponseTypeReject)...)
	q := l.LimitResponse.Queuing
	switch {
	case l.LimitResponse.Type == flowcontrolv1.LimitResponseTypeReject && q != nil:
		errs = append(errs, field.Forbidden(response.Child("queuing"), "must be nil if limited.limitResponse.type is not Limited"))
	case l.LimitResponse.Type == flowcontrolv1.LimitResponseTypeQueue && q == nil:
		errs = append(errs, field.Required(response.Child("queuing"), "must not be empty if limited.limitResponse.type is Limited"))
	case q != nil:
		errs = append(errs, positive(q.Queues, response.Child("queuing", "queues"))...)
		errs = append(errs, positive(q.HandSize, response.Child("queuing", "handSize"))...)
		errs = append(errs, positive(q.QueueLengthLimit, response.Child("queuing", "queueLengthLimit"))...)
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
