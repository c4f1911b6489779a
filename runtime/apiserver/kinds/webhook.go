package kinds

import (
	"net/url"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func mutatingWebhookConfiguration() Kind {
	return Kind{
		GVK:      admissionv1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"),
		Resource: "mutatingwebhookconfigurations",
		Default: on(func(c *admissionv1.MutatingWebhookConfiguration) {
			for i := range c.Webhooks {
				setDefaultPtr(&c.Webhooks[i].ReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
				defaultWebhook(mutatingView(&c.Webhooks[i]))
			}
		}),
		Validate: check(func(c *admissionv1.MutatingWebhookConfiguration) field.ErrorList {
			var errs field.ErrorList
			names := sets.New[string]()
			for i := range c.Webhooks {
				at := field.NewPath("webhooks").Index(i)
				errs = append(errs, validateWebhook(mutatingView(&c.Webhooks[i]), names, at)...)
				if p := c.Webhooks[i].ReinvocationPolicy; p != nil {
					errs = append(errs, oneOf(*p, at.Child("reinvocationPolicy"), admissionv1.NeverReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy)...)
				}
			}
			return errs
		}),
		Columns: columns("Name", "#Webhooks", "Age"),
		Cells: cells(func(c *admissionv1.MutatingWebhookConfiguration, now time.Time) []any {
			return []any{c.Name, int64(len(c.Webhooks)), age(c.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

func validatingWebhookConfiguration() Kind {
	return Kind{
		GVK:      admissionv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"),
		Resource: "validatingwebhookconfigurations",
		Default: on(func(c *admissionv1.ValidatingWebhookConfiguration) {
			for i := range c.Webhooks {
				defaultWebhook(validatingView(&c.Webhooks[i]))
			}
		}),
		Validate: check(func(c *admissionv1.ValidatingWebhookConfiguration) field.ErrorList {
			var errs field.ErrorList
			names := sets.New[string]()
			for i := range c.Webhooks {
				errs = append(errs, validateWebhook(validatingView(&c.Webhooks[i]), names, field.NewPath("webhooks").Index(i))...)
			}
			return errs
		}),
		Columns: columns("Name", "#Webhooks", "Age"),
		Cells: cells(func(c *admissionv1.ValidatingWebhookConfiguration, now time.Time) []any {
			return []any{c.Name, int64(len(c.Webhooks)), age(c.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

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

func mutatingView(w *admissionv1.MutatingWebhook) webhookView {
	return webhookView{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector,
		w.SideEffects, &w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions}
}

func validatingView(w *admissionv1.ValidatingWebhook) webhookView {
	return webhookView{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector,
		w.SideEffects, &w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions}
}

func defaultWebhook(w webhookView) {
	setDefaultPtr(w.failure, admissionv1.Fail)
	setDefaultPtr(w.match, admissionv1.Equivalent)
	setDefaultPtr(w.namespaces, metav1.LabelSelector{})
	setDefaultPtr(w.objects, metav1.LabelSelector{})
	setDefaultPtr(w.timeout, 10)
	if w.client.Service != nil {
		setDefaultPtr(&w.client.Service.Port, 443)
	}
	for i := range w.rules {
		setDefaultPtr(&w.rules[i].Scope, admissionv1.AllScopes)
	}
}

func validateWebhook(w webhookView, names sets.Set[string], path *field.Path) field.ErrorList {
	errs := validation.IsFullyQualifiedName(path.Child("name"), w.name)
	errs = append(errs, uniqueName(w.name, names, path)...)
	for i := range w.rules {
		errs = append(errs, validateRule(&w.rules[i], path.Child("rules").Index(i))...)
	}
	if *w.failure != nil {
		errs = append(errs, oneOf(**w.failure, path.Child("failurePolicy"), admissionv1.Ignore, admissionv1.Fail)...)
	}
	if *w.match != nil {
		errs = append(errs, oneOf(**w.match, path.Child("matchPolicy"), admissionv1.Exact, admissionv1.Equivalent)...)
	}
	if w.effects == nil {
		errs = append(errs, field.Required(path.Child("sideEffects"), "must specify one of None, NoneOnDryRun"))
	} else {
		errs = append(errs, oneOf(*w.effects, path.Child("sideEffects"), admissionv1.SideEffectClassNone, admissionv1.SideEffectClassNoneOnDryRun)...)
	}
	if t := *w.timeout; t != nil && (*t < 1 || *t > 30) {
		errs = append(errs, field.Invalid(path.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	errs = append(errs, labelSelector(*w.namespaces, path.Child("namespaceSelector"))...)
	errs = append(errs, labelSelector(*w.objects, path.Child("objectSelector"))...)
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
	errs := required(c.Service.Name, at.Child("name"))
	errs = append(errs, required(c.Service.Namespace, at.Child("namespace"))...)
	if c.Service.Port != nil {
		errs = append(errs, portNumber(*c.Service.Port, at.Child("port"))...)
	}
	if p := c.Service.Path; p != nil && !strings.HasPrefix(*p, "/") {
		errs = append(errs, field.Invalid(at.Child("path"), *p, "must start with a '/'"))
	}
	return errs
}

func validateRule(r *admissionv1.RuleWithOperations, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Operations) == 0 {
		errs = append(errs, field.Required(path.Child("operations"), ""))
	}
	for i, o := range r.Operations {
		errs = append(errs, oneOf(o, path.Child("operations").Index(i), admissionv1.OperationAll, admissionv1.Create,
			admissionv1.Update, admissionv1.Delete, admissionv1.Connect)...)
	}
	for name, list := range map[string][]string{"apiGroups": r.APIGroups, "apiVersions": r.APIVersions, "resources": r.Resources} {
		switch {
		case len(list) == 0:
			errs = append(errs, field.Required(path.Child(name), ""))
		case name != "resources" && len(list) > 1 && sets.New(list...).Has("*"):
			errs = append(errs, field.Invalid(path.Child(name), list, "if '*' is present, must not specify other values"))
		}
	}
	if r.Scope != nil {
		errs = append(errs, oneOf(*r.Scope, path.Child("scope"), admissionv1.ClusterScope, admissionv1.NamespacedScope, admissionv1.AllScopes)...)
	}
	return errs
}

func validateMatchConditions(cs []admissionv1.MatchCondition, path *field.Path) field.ErrorList {
	if len(cs) > 64 {
		return field.ErrorList{field.TooMany(path, len(cs), 64)}
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i, c := range cs {
		at := path.Index(i)
		errs = append(errs, required(strings.TrimSpace(c.Expression), at.Child("expression"))...)
		if c.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
			continue
		}
		errs = append(errs, qualifiedName(c.Name, at.Child("name"))...)
		errs = append(errs, uniqueName(c.Name, names, at)...)
	}
	return errs
}
