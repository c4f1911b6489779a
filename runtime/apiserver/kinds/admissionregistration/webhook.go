package admissionregistration

import (
	"fmt"
	"net/url"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// webhookView is what the two kinds of webhook have in common; it points into
// the webhook that it is a view of.
type webhookView struct {
	name       string
	client     *admissionv1.WebhookClientConfig
	rules      []admissionv1.RuleWithOperations
	failure    **admissionv1.FailurePolicyType
	match      **admissionv1.MatchPolicyType
	namespaces **metav1.LabelSelector
	objects    **metav1.LabelSelector
	effects    *admissionv1.SideEffectClass
	timeout    **int32
	versions   []string
	conditions []admissionv1.MatchCondition
}

func defaultWebhook(w webhookView) {
	kind.SetDefaultPtr(w.failure, admissionv1.Fail)
	kind.SetDefaultPtr(w.match, admissionv1.Equivalent)
	kind.SetDefaultPtr(w.namespaces, metav1.LabelSelector{})
	kind.SetDefaultPtr(w.objects, metav1.LabelSelector{})
	kind.SetDefaultPtr(w.timeout, 10)
	if w.client.Service != nil {
		kind.SetDefaultPtr(&w.client.Service.Port, 443)
	}
	for i := range w.rules {
		kind.SetDefaultPtr(&w.rules[i].Scope, admissionv1.AllScopes)
	}
}

func validateWebhook(w webhookView, names sets.Set[string], path *field.Path) field.ErrorList {
	errs := validation.IsFullyQualifiedName(path.Child("name"), w.name)
	if w.name != "" {
		errs = append(errs, validate.UniqueName(w.name, names, path)...)
	}
	for i := range w.rules {
		errs = append(errs, validateRule(&w.rules[i], path.Child("rules").Index(i))...)
	}
	if *w.failure != nil {
		errs = append(errs, validate.Known(**w.failure, path.Child("failurePolicy"), admissionv1.Ignore, admissionv1.Fail)...)
	}
	if *w.match != nil {
		errs = append(errs, validate.Known(**w.match, path.Child("matchPolicy"), admissionv1.Exact, admissionv1.Equivalent)...)
	}
	if w.effects == nil {
		errs = append(errs, field.Required(path.Child("sideEffects"), "must specify one of None, NoneOnDryRun"))
	} else {
		errs = append(errs, validate.Known(*w.effects, path.Child("sideEffects"), admissionv1.SideEffectClassNone, admissionv1.SideEffectClassNoneOnDryRun)...)
	}
	if t := *w.timeout; t != nil && (*t < 1 || *t > 30) {
		errs = append(errs, field.Invalid(path.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	errs = append(errs, validate.LabelSelector(*w.namespaces, path.Child("namespaceSelector"))...)
	errs = append(errs, validate.LabelSelector(*w.objects, path.Child("objectSelector"))...)
	errs = append(errs, validateReviewVersions(w.versions, path.Child("admissionReviewVersions"))...)
	errs = append(errs, validateMatchConditions(w.conditions, path.Child("matchConditions"))...)
	return append(errs, validateWebhookClient(w.client, path.Child("clientConfig"))...)
}

func validateReviewVersions(versions []string, path *field.Path) field.ErrorList {
	if len(versions) == 0 {
		return field.ErrorList{field.Required(path, "must specify one of v1, v1beta1")}
	}
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, v := range versions {
		if seen.Has(v) {
			errs = append(errs, field.Invalid(path.Index(i), v, "duplicate version"))
			continue
		}
		seen.Insert(v)
		errs = append(errs, validate.InvalidIf(validation.IsDNS1035Label(v), path.Index(i), v)...)
	}
	if !seen.HasAny("v1", "v1beta1") {
		errs = append(errs, field.Invalid(path, versions, "must include at least one of v1, v1beta1"))
	}
	return errs
}

func validateWebhookClient(c *admissionv1.WebhookClientConfig, path *field.Path) field.ErrorList {
	switch {
	case (c.URL == nil) == (c.Service == nil):
		return field.ErrorList{field.Required(path, "exactly one of url or service is required")}
	case c.URL != nil:
		return validateWebhookURL(*c.URL, path.Child("url"))
	}
	at := path.Child("service")
	errs := validate.Required(c.Service.Name, at.Child("name"))
	errs = append(errs, validate.Required(c.Service.Namespace, at.Child("namespace"))...)
	if c.Service.Port != nil {
		errs = append(errs, validate.PortNumber(*c.Service.Port, at.Child("port"))...)
	}
	if c.Service.Path != nil {
		errs = append(errs, validateServicePath(*c.Service.Path, at.Child("path"))...)
	}
	return errs
}

// validateServicePath: the empty path is the root, and what is between two slashes is a
// name.
func validateServicePath(p string, path *field.Path) field.ErrorList {
	switch p {
	case "", "/":
		return nil
	case "//":
		return field.ErrorList{field.Invalid(path, p, "segment[0] may not be empty")}
	}
	var errs field.ErrorList
	if !strings.HasPrefix(p, "/") {
		errs = append(errs, field.Invalid(path, p, "must start with a '/'"))
	}
	for i, step := range strings.Split(strings.TrimSuffix(p[1:], "/"), "/") {
		if step == "" {
			errs = append(errs, field.Invalid(path, p, fmt.Sprintf("segment[%d] may not be empty", i)))
			continue
		}
		for _, msg := range validation.IsDNS1123Subdomain(step) {
			errs = append(errs, field.Invalid(path, p, fmt.Sprintf("segment[%d]: %v", i, msg)))
		}
	}
	return errs
}

func validateWebhookURL(text string, path *field.Path) field.ErrorList {
	const form = "; desired format: https://host[/path]"
	u, err := url.Parse(text)
	if err != nil {
		return field.ErrorList{field.Required(path, "url must be a valid URL: "+err.Error()+form)}
	}
	var errs field.ErrorList
	if u.Scheme != "https" {
		errs = append(errs, field.Invalid(path, u.Scheme, "'https' is the only allowed URL scheme"+form))
	}
	if u.Host == "" {
		errs = append(errs, field.Invalid(path, u.Host, "host must be specified"+form))
	}
	if u.User != nil {
		errs = append(errs, field.Invalid(path, u.User.String(), "user information is not permitted in the URL"))
	}
	if u.Fragment != "" {
		errs = append(errs, field.Invalid(path, u.Fragment, "fragments are not permitted in the URL"))
	}
	if u.RawQuery != "" {
		errs = append(errs, field.Invalid(path, u.RawQuery, "query parameters are not permitted in the URL"))
	}
	return errs
}
