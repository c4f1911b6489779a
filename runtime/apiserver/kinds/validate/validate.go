package validate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Immutable refuses a change of a field.
func Immutable(now, old any, path *field.Path) field.ErrorList {
	return apivalidation.ValidateImmutableField(now, old, path)
}

// InvalidIf turns the messages of a format check into errors about value.
func InvalidIf(messages []string, path *field.Path, value any) field.ErrorList {
	var errs field.ErrorList
	for _, m := range messages {
		errs = append(errs, field.Invalid(path, value, m))
	}
	return errs
}

// Required refuses the empty string.
func Required(s string, path *field.Path) field.ErrorList {
	if s == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}

// DNSLabel checks a name that is one label of a DNS name.
func DNSLabel(s string, path *field.Path) field.ErrorList {
	if s == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return InvalidIf(validation.IsDNS1123Label(s), path, s)
}

// DNSSubdomain checks a name that is a DNS name in lower case.
func DNSSubdomain(s string, path *field.Path) field.ErrorList {
	if s == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return InvalidIf(validation.IsDNS1123Subdomain(s), path, s)
}

// CSIDriverName checks the name of a CSI driver: a DNS name, in any case.
func CSIDriverName(s string, path *field.Path) field.ErrorList {
	if s == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	if len(s) > 63 {
		errs = append(errs, field.TooLong(path, s, 63))
	}
	return append(errs, InvalidIf(validation.IsDNS1123Subdomain(strings.ToLower(s)), path, s)...)
}

// QualifiedName checks a name that may have a DNS name as prefix (labels, taints).
func QualifiedName(s string, path *field.Path) field.ErrorList {
	return metavalidation.ValidateLabelName(s, path)
}

// PathSegmentName is the name rule of kinds whose names may hold anything that
// is one segment of a URL path (RBAC).
func PathSegmentName(name string, prefix bool) []string {
	if !prefix && (name == "." || name == "..") {
		return []string{fmt.Sprintf("may not be %q", name)}
	}
	var out []string
	for _, c := range []string{"/", "%"} {
		if strings.Contains(name, c) {
			out = append(out, fmt.Sprintf("may not contain %q", c))
		}
	}
	return out
}

// OneOf refuses values that are not among those listed; the empty one is
// reported as missing.
func OneOf[T ~string](v T, path *field.Path, valid ...T) field.ErrorList {
	if v == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return OneOfOrEmpty(v, path, valid...)
}

// EitherOf refuses values as [OneOf] does, where upstream calls them invalid.
func EitherOf[T ~string](v T, path *field.Path, valid ...T) field.ErrorList {
	if v == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	if slices.Contains(valid, v) {
		return nil
	}
	quoted := make([]string, len(valid))
	for i, x := range valid {
		quoted[i] = fmt.Sprintf("'%s'", x)
	}
	return field.ErrorList{field.Invalid(path, v, "must be "+strings.Join(quoted, " or "))}
}

// Known refuses values that are not among those listed, the empty one too.
func Known[T ~string](v T, path *field.Path, valid ...T) field.ErrorList {
	if slices.Contains(valid, v) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, v, valid)}
}

// OneOfOrEmpty refuses values that are neither empty nor among those listed.
func OneOfOrEmpty[T ~string](v T, path *field.Path, valid ...T) field.ErrorList {
	if v == "" {
		return nil
	}
	for _, x := range valid {
		if v == x {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, v, valid)}
}

// Labels checks keys and values of labels, in the order of the keys.
func Labels(m map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, k := range slices.Sorted(maps.Keys(m)) {
		errs = append(errs, metavalidation.ValidateLabels(map[string]string{k: m[k]}, path)...)
	}
	return errs
}

// Annotations checks annotations, in order.
func Annotations(m map[string]string, path *field.Path) field.ErrorList {
	errs := apivalidation.ValidateAnnotations(m, path)
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// LabelSelector checks a selector that may be missing.
func LabelSelector(s *metav1.LabelSelector, path *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := Labels(s.MatchLabels, path.Child("matchLabels"))
	rest := &metav1.LabelSelector{MatchExpressions: s.MatchExpressions}
	return append(errs, metavalidation.ValidateLabelSelector(rest, metavalidation.LabelSelectorValidationOptions{}, path)...)
}

// WorkloadSelector checks the selector of a kind that makes pods from a
// template: it is present, not empty, and selects what the template makes.
func WorkloadSelector(s *metav1.LabelSelector, template map[string]string, spec *field.Path) field.ErrorList {
	path := spec.Child("selector")
	if s == nil {
		return append(field.ErrorList{field.Required(path, "")}, SelectsTemplate(s, template, spec)...)
	}
	errs := LabelSelector(s, path)
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return append(errs, field.Invalid(path, s, "empty selector is invalid for this kind"))
	}
	if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
		return append(errs, field.Invalid(path, s, "invalid label selector"))
	}
	return append(errs, SelectsTemplate(s, template, spec)...)
}

// Readable says whether a selector can be read at all: of the pods of one that cannot, nothing
// is told.
func Readable(s *metav1.LabelSelector) bool {
	_, err := metav1.LabelSelectorAsSelector(s)
	return err == nil
}

// SelectsTemplate refuses a selector that does not select what the template makes: one that is
// missing selects nothing. What is wrong with a selector itself is told by [LabelSelector].
func SelectsTemplate(s *metav1.LabelSelector, template map[string]string, spec *field.Path) field.ErrorList {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil || selector.Matches(labels.Set(template)) {
		return nil
	}
	return field.ErrorList{field.Invalid(spec.Child("template", "metadata", "labels"), template, "`selector` does not match template `labels`")}
}

// Protocol checks the protocol of a port.
func Protocol(p corev1.Protocol, path *field.Path) field.ErrorList {
	return OneOf(p, path, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
}

// UniqueName refuses a name that is in seen, and else adds it.
func UniqueName(name string, seen sets.Set[string], path *field.Path) field.ErrorList {
	if seen.Has(name) {
		return field.ErrorList{field.Duplicate(path.Child("name"), name)}
	}
	seen.Insert(name)
	return nil
}

// TooLong refuses a total size above max, in bytes.
func TooLong(total, max int, at *field.Path) field.ErrorList {
	if total > max {
		return field.ErrorList{field.TooLong(at, fmt.Sprint(total), max)}
	}
	return nil
}
