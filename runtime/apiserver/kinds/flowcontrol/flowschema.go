package flowcontrol

import (
	"maps"
	"slices"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func flowSchema() kind.Kind {
	return kind.Kind{
		GVK:          flowcontrolv1.SchemeGroupVersion.WithKind("FlowSchema"),
		Resource:     "flowschemas",
		Status:       true,
		StatusKeeps:  kind.AllMetadata,
		NoWatchCache: true,
		Default: kind.On(func(f *flowcontrolv1.FlowSchema) {
			kind.SetDefault(&f.Spec.MatchingPrecedence, 1000)
		}),
		Validate: kind.Check(validateFlowSchema),
		Columns:  printers.Columns("Name", "PriorityLevel", "#MatchingPrecedence", "DistinguisherMethod", "Age", "MissingPL"),
		Cells: kind.Cells(func(f *flowcontrolv1.FlowSchema, now time.Time) []any {
			method, dangling := printers.None, "?"
			if m := f.Spec.DistinguisherMethod; m != nil {
				method = string(m.Type)
			}
			for _, c := range f.Status.Conditions {
				if c.Type == flowcontrolv1.FlowSchemaConditionDangling {
					dangling = string(c.Status)
				}
			}
			return []any{f.Name, f.Spec.PriorityLevelConfiguration.Name, int64(f.Spec.MatchingPrecedence), method, printers.Age(f.ObjectMeta, now), dangling}
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
	errs = append(errs, validate.DNSSubdomain(s.PriorityLevelConfiguration.Name, spec.Child("priorityLevelConfiguration", "name"))...)
	if s.DistinguisherMethod != nil {
		errs = append(errs, validate.OneOf(s.DistinguisherMethod.Type, spec.Child("distinguisherMethod", "type"),
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
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if len(lists[name]) == 0 {
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
		return validate.Required(s.User.Name, path.Child("user", "name"))
	case flowcontrolv1.SubjectKindGroup:
		if s.Group == nil {
			return field.ErrorList{field.Required(path.Child("group"), "group is required when subject kind is 'Group'")}
		}
		return validate.Required(s.Group.Name, path.Child("group", "name"))
	case flowcontrolv1.SubjectKindServiceAccount:
		if s.ServiceAccount == nil {
			return field.ErrorList{field.Required(path.Child("serviceAccount"), "serviceAccount is required when subject kind is 'ServiceAccount'")}
		}
		errs := validate.Required(s.ServiceAccount.Name, path.Child("serviceAccount", "name"))
		return append(errs, validate.Required(s.ServiceAccount.Namespace, path.Child("serviceAccount", "namespace"))...)
	}
	return field.ErrorList{field.NotSupported(path.Child("kind"), s.Kind, []flowcontrolv1.SubjectKind{
		flowcontrolv1.SubjectKindUser, flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount})}
}
