package flowcontrol

import (
	"fmt"
	"slices"
	"strings"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func flowSchema() kind.Kind {
	return kind.Kind{
		GVK:          flowcontrolv1.SchemeGroupVersion.WithKind("FlowSchema"),
		Resource:     "flowschemas",
		Generation:   true,
		Status:       true,
		StatusKeeps:  kind.AllMetadata,
		NoWatchCache: true,
		Default: kind.On(func(f *flowcontrolv1.FlowSchema) {
			kind.SetDefault(&f.Spec.MatchingPrecedence, 1000)
		}),
		Validate: kind.Check(validateFlowSchema),
		Columns:  printers.Columns("Name", "PriorityLevel", "MatchingPrecedence", "DistinguisherMethod", "Age", "MissingPL"),
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
	if s.MatchingPrecedence == 1 && f.Name != flowcontrolv1.FlowSchemaNameExempt {
		errs = append(errs, field.Invalid(spec.Child("matchingPrecedence"), s.MatchingPrecedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
	}
	errs = append(errs, validate.DNSSubdomain(s.PriorityLevelConfiguration.Name, spec.Child("priorityLevelConfiguration", "name"))...)
	if s.DistinguisherMethod != nil {
		errs = append(errs, validate.Known(s.DistinguisherMethod.Type, spec.Child("distinguisherMethod", "type"),
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
			errs = append(errs, validateResourceRule(&rr, p)...)
		}
		for k, nr := range r.NonResourceRules {
			errs = append(errs, validateNonResourceRule(&nr, at.Child("nonResourceRules").Index(k))...)
		}
	}
	return errs
}

func validateFlowSubject(s *flowcontrolv1.Subject, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	// What belongs to another kind of subject is refused.
	for _, other := range []struct {
		kind flowcontrolv1.SubjectKind
		name string
		set  bool
	}{
		{flowcontrolv1.SubjectKindUser, "user", s.User != nil}, {flowcontrolv1.SubjectKindGroup, "group", s.Group != nil},
		{flowcontrolv1.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil},
	} {
		at := path.Child(other.name)
		switch {
		case other.kind != s.Kind && other.set:
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("%s is forbidden when subject kind is not '%s'", other.name, other.kind)))
		case other.kind == s.Kind && !other.set:
			errs = append(errs, field.Required(at, fmt.Sprintf("%s is required when subject kind is '%s'", other.name, other.kind)))
		}
	}
	switch s.Kind {
	case flowcontrolv1.SubjectKindUser:
		if s.User != nil {
			errs = append(errs, validate.Required(s.User.Name, path.Child("user", "name"))...)
		}
	case flowcontrolv1.SubjectKindGroup:
		if s.Group != nil {
			errs = append(errs, validate.Required(s.Group.Name, path.Child("group", "name"))...)
		}
	case flowcontrolv1.SubjectKindServiceAccount:
		if a := s.ServiceAccount; a != nil {
			at := path.Child("serviceAccount")
			if a.Name != flowcontrolv1.NameAll {
				errs = append(errs, validate.DNSSubdomain(a.Name, at.Child("name"))...)
			}
			errs = append(errs, validate.DNSLabel(a.Namespace, at.Child("namespace"))...)
		}
	default:
		return field.ErrorList{field.NotSupported(path.Child("kind"), s.Kind, []flowcontrolv1.SubjectKind{
			flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount, flowcontrolv1.SubjectKindUser})}
	}
	return errs
}

// verbs of requests that flow schemas know.
func knownVerbs() []string {
	return []string{"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"}
}

func validateVerbs(verbs []string, path *field.Path) field.ErrorList {
	if len(verbs) == 0 {
		return field.ErrorList{field.Required(path, "verbs must contain at least one value")}
	}
	if errs := alone(verbs, path, "verbs"); slices.Contains(verbs, "*") {
		return errs
	}
	for _, v := range verbs {
		if !slices.Contains(knownVerbs(), v) {
			return field.ErrorList{field.NotSupported(path, verbs, knownVerbs())}
		}
	}
	return nil
}

// alone: where there is a wildcard, nothing is beside it.
func alone(values []string, path *field.Path, what string) field.ErrorList {
	if len(values) > 1 && slices.Contains(values, "*") {
		return field.ErrorList{field.Invalid(path, values, fmt.Sprintf("if '*' is present, must not specify other %s", what))}
	}
	return nil
}

func validateResourceRule(r *flowcontrolv1.ResourcePolicyRule, path *field.Path) field.ErrorList {
	errs := validateVerbs(r.Verbs, path.Child("verbs"))
	for _, l := range []struct {
		name, what string
		values     []string
	}{{"apiGroups", "api groups", r.APIGroups}, {"resources", "resources", r.Resources}} {
		if len(l.values) == 0 {
			errs = append(errs, field.Required(path.Child(l.name), "resource rules must supply at least one of the "+l.what))
		}
		errs = append(errs, alone(l.values, path.Child(l.name), l.what)...)
	}
	at := path.Child("namespaces")
	switch {
	case len(r.Namespaces) == 0 && !r.ClusterScope:
		errs = append(errs, field.Required(at, "resource rules that are not cluster scoped must supply at least one namespace"))
	case slices.Contains(r.Namespaces, "*"):
		errs = append(errs, alone(r.Namespaces, at, "namespaces")...)
	default:
		for i, n := range r.Namespaces {
			errs = append(errs, validate.InvalidIf(validation.IsDNS1123Label(n), at.Index(i), n)...)
		}
	}
	return errs
}

func validateNonResourceRule(r *flowcontrolv1.NonResourcePolicyRule, path *field.Path) field.ErrorList {
	errs := validateVerbs(r.Verbs, path.Child("verbs"))
	at := path.Child("nonResourceURLs")
	switch {
	case len(r.NonResourceURLs) == 0:
		return append(errs, field.Required(at, "nonResourceURLs must contain at least one value"))
	case slices.Contains(r.NonResourceURLs, "*"):
		return append(errs, alone(r.NonResourceURLs, at, "non-resource URLs")...)
	}
	for i, u := range r.NonResourceURLs {
		if m := nonResourceURL(u); m != "" {
			errs = append(errs, field.Invalid(at.Index(i), u, m))
		}
	}
	return errs
}

// nonResourceURL says what is wrong with a path: it is absolute, and a wildcard is its last part.
func nonResourceURL(u string) string {
	switch prefix, _, wild := strings.Cut(u, "*"); {
	case u == "":
		return "must not be empty"
	case u == "/":
		return ""
	case !strings.HasPrefix(u, "/"):
		return "must start with slash"
	case strings.Contains(u, " "):
		return "must not contain white-space"
	case strings.Contains(u, "//"):
		return "must not contain double slash"
	case wild && (u != prefix+"*" || !strings.HasSuffix(prefix, "/")):
		return "wildcard can only do suffix matching"
	}
	return ""
}
