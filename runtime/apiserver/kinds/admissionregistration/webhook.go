package admissionregistration

import (
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
	errs = append(errs, validate.UniqueName(w.name, names, path)...)
	for i := range w.rules {
		errs = append(errs, validateRule(&w.rules[i], path.Child("rules").Index(i))...)
	}
	if *w.failure != nil {
		errs = append(errs, validate.OneOf(**w.failure, path.Child("failurePolicy"), admissionv1.Ignore, admissionv1.Fail)...)
	}
	if *w.match != nil {
		errs = append(errs, validate.OneOf(**w.match, path.Child("matchPolicy"), admissionv1.Exact, admissionv1.Equivalent)...)
	}
	if w.effects == nil {
		errs = append(errs, field.Required(path.Child("sideEffects"), "must specify one of None, NoneOnDryRun"))
	} else {
		errs = append(errs, validate.OneOf(*w.effects, path.Child("sideEffects"), admissionv1.SideEffectClassNone, admissionv1.SideEffectClassNoneOnDryRun)...)
	}
	if t := *w.timeout; t != nil && (*t < 1 || *t > 30) {
		errs = append(errs, field.Invalid(path.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	errs = append(errs, validate.LabelSelector(*w.namespaces, path.Child("namespaceSelector"))...)
	errs = append(errs, validate.LabelSelector(*w.objects, path.Child("objectSelector"))...)
	switch {
	case len(w.versions) == 0:
		errs = append(errs, field.Required(path.Child("admissionReviewVersions"), "must specify one of v1, v1beta1"))
	case !sets.New(w.versions...).HasAny("v1", "v1beta1"):
		errs = append(errs, field.Invalid(path.Child("admissionReviewVersions"), w.versions, "must include at least one of v1, v1beta1"))
	}
	errs = append(errs, validateMatchConditions(w.conditions, path.Child("matchConditions"))...)
	return append(errs, validateWebhookClient(w.client, path.Child("clientConfig"))...)
}

func validateWebhookClient(c *admissionv1.WebhookClientConfig, path *field.Path) field.ErrorList {
	switch {
	case (c.URL == nil) == (c.Service == nil):
		return field.ErrorList{field.Required(path, "exactly one of url or service is required")}
	case c.URL != nil:
		u, err := url.Parse(*c.URL)
		switch {
		case err != nil:
			return field.ErrorList{field.Required(path.Child("url"), "url must be a valid URL: "+err.Error())}
		case u.Scheme != "https":
			return field.ErrorList{field.Invalid(path.Child("url"), u.Scheme, "'https' is the only allowed URL scheme")}
		case u.Host == "":
			return field.ErrorList{field.Invalid(path.Child("url"), u.Host, "host must be specified")}
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return field.ErrorList{field.Invalid(path.Child("url"), *c.URL, "user information, query parameters and fragments are not permitted in the URL")}
		}
		return nil
	}
	at := path.Child("service")
	errs := validate.Required(c.Service.Name, at.Child("name"))
	errs = append(errs, validate.Required(c.Service.Namespace, at.Child("namespace"))...)
	if c.Service.Port != nil {
		errs = append(errs, validate.PortNumber(*c.Service.Port, at.Child("port"))...)
	}
	if p := c.Service.Path; p != nil && !strings.HasPrefix(*p, "/") {
		errs = append(errs, field.Invalid(at.Child("path"), *p, "must start with a '/'"))
	}
	return errs
}
