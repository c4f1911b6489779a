package kinds

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	corev1 "k8s.io/api/core/v1"
)

// Rules that many kinds share: immutability, names, label selectors, numbers,
// quantities, percentages.

const immutableDetail = "field is immutable"

func immutable(now, old any, path *field.Path) field.ErrorList {
	return apivalidation.ValidateImmutableField(now, old, path)
}

func same(a, b any) bool { return equality.Semantic.DeepEqual(a, b) }

// invalidIf turns the messages of a format check into errors about value.
func invalidIf(messages []string, path *field.Path, value any) field.ErrorList {
	var errs field.ErrorList
	for _, m := range messages {
		errs = append(errs, field.Invalid(path, value, m))
	}
	return errs
}

func required(s string, path *field.Path) field.ErrorList {
	if s == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}

func dnsLabel(s string, path *field.Path) field.ErrorList {
	if s == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return invalidIf(validation.IsDNS1123Label(s), path, s)
}

func dnsSubdomain(s string, path *field.Path) field.ErrorList {
	if s == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return invalidIf(validation.IsDNS1123Subdomain(s), path, s)
}

func qualifiedName(s string, path *field.Path) field.ErrorList {
	return metavalidation.ValidateLabelName(s, path)
}

// pathSegmentName is the name rule of kinds whose names may hold anything that
// is one segment of a URL path (RBAC).
func pathSegmentName(name string, prefix bool) []string {
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

func dnsLabelName(name string, prefix bool) []string {
	return apivalidation.NameIsDNSLabel(name, prefix)
}

func nonNegative[N int32 | int64](n N, path *field.Path) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(n), path)
}

func nonNegativePtr[N int32 | int64](n *N, path *field.Path) field.ErrorList {
	if n == nil {
		return nil
	}
	return nonNegative(*n, path)
}

func positive[N int32 | int64](n N, path *field.Path) field.ErrorList {
	if n <= 0 {
		return field.ErrorList{field.Invalid(path, n, "must be greater than zero")}
	}
	return nil
}

// oneOf refuses values that are not among those listed; the empty one is
// reported as missing.
func oneOf[T ~string](v T, path *field.Path, valid ...T) field.ErrorList {
	if v == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return oneOfOrEmpty(v, path, valid...)
}

func oneOfOrEmpty[T ~string](v T, path *field.Path, valid ...T) field.ErrorList {
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

func labelSelector(s *metav1.LabelSelector, path *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	return metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, path)
}

// workloadSelector checks the selector of a kind that makes pods from a
// template: it is present, not empty, and selects what the template makes.
func workloadSelector(s *metav1.LabelSelector, template map[string]string, spec *field.Path) field.ErrorList {
	path := spec.Child("selector")
	if s == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	errs := labelSelector(s, path)
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return append(errs, field.Invalid(path, s, "empty selector is invalid for this kind"))
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return append(errs, field.Invalid(path, s, "invalid label selector: "+err.Error()))
	}
	if !selector.Matches(labels.Set(template)) {
		errs = append(errs, field.Invalid(spec.Child("template", "metadata", "labels"), template, "`selector` does not match template `labels`"))
	}
	return errs
}

// selectorString serializes a selector for the scale subresource; empty where
// it cannot be parsed, which validation does not let in.
func selectorString(s *metav1.LabelSelector) string {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return ""
	}
	return selector.String()
}

// resources checks a list of resource quantities: names well formed, none
// negative.
func resources(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name, q := range list {
		key := path.Key(string(name))
		errs = append(errs, qualifiedName(string(name), key)...)
		errs = append(errs, nonNegativeQuantity(q, key)...)
	}
	return errs
}

func nonNegativeQuantity(q resource.Quantity, path *field.Path) field.ErrorList {
	if q.Sign() < 0 {
		return field.ErrorList{field.Invalid(path, q.String(), "must be greater than or equal to 0")}
	}
	return nil
}

func positiveQuantity(q resource.Quantity, path *field.Path) field.ErrorList {
	if q.Sign() <= 0 {
		return field.ErrorList{field.Invalid(path, q.String(), "must be greater than zero")}
	}
	return nil
}

// intOrPercent checks a number that is not negative or a percentage of at most
// max (0: no limit).
func intOrPercent(v *intstr.IntOrString, max int, path *field.Path) field.ErrorList {
	if v == nil {
		return nil
	}
	if v.Type == intstr.Int {
		return nonNegative(v.IntVal, path)
	}
	if errs := invalidIf(validation.IsValidPercent(v.StrVal), path, v.String()); len(errs) > 0 {
		return errs
	}
	if n := percent(v); max > 0 && n > max {
		return field.ErrorList{field.Invalid(path, v.String(), fmt.Sprintf("must not be greater than %d%%", max))}
	}
	return nil
}

func percent(v *intstr.IntOrString) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(v, 100, false)
	if err != nil {
		return 0
	}
	return n
}

// isZero is true of 0 and of 0%.
func isZero(v *intstr.IntOrString) bool {
	if v == nil {
		return false
	}
	if v.Type == intstr.Int {
		return v.IntVal == 0
	}
	return percent(v) == 0
}

// portOrName checks a port given as a number or as the name of a container's port.
func portOrName(p intstr.IntOrString, path *field.Path) field.ErrorList {
	if p.Type == intstr.Int {
		return invalidIf(validation.IsValidPortNum(int(p.IntVal)), path, p.IntVal)
	}
	return invalidIf(validation.IsValidPortName(p.StrVal), path, p.StrVal)
}

func portNumber(n int32, path *field.Path) field.ErrorList {
	return invalidIf(validation.IsValidPortNum(int(n)), path, n)
}

func protocol(p corev1.Protocol, path *field.Path) field.ErrorList {
	return oneOf(p, path, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
}
