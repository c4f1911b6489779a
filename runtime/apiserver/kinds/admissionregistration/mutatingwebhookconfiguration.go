package admissionregistration

import (
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func mutatingWebhookConfiguration() kind.Kind {
	return kind.Kind{
		GVK:          admissionv1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"),
		Resource:     "mutatingwebhookconfigurations",
		Categories:   []string{"api-extensions"},
		Generation:   true,
		AnyFinalizer: true,
		Default: kind.On(func(c *admissionv1.MutatingWebhookConfiguration) {
			for i := range c.Webhooks {
				kind.SetDefaultPtr(&c.Webhooks[i].ReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
				defaultWebhook(mutatingView(&c.Webhooks[i]))
			}
		}),
		Validate: kind.Check(func(c *admissionv1.MutatingWebhookConfiguration) field.ErrorList {
			var errs field.ErrorList
			names := sets.New[string]()
			for i := range c.Webhooks {
				at := field.NewPath("webhooks").Index(i)
				errs = append(errs, validateWebhook(mutatingView(&c.Webhooks[i]), names, at)...)
				if p := c.Webhooks[i].ReinvocationPolicy; p != nil {
					errs = append(errs, validate.OneOf(*p, at.Child("reinvocationPolicy"), admissionv1.NeverReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy)...)
				}
			}
			return errs
		}),
		Expressions: expressions(func(c *admissionv1.MutatingWebhookConfiguration) (out []kind.Expression) {
			for i := range c.Webhooks {
				out = append(out, matchExpressions(c.Webhooks[i].MatchConditions, false, field.NewPath("webhooks").Index(i).Child("matchConditions"))...)
			}
			return out
		}),
		Columns: printers.Columns("Name", "#Webhooks", "Age"),
		Cells: kind.Cells(func(c *admissionv1.MutatingWebhookConfiguration, now time.Time) []any {
			return []any{c.Name, int64(len(c.Webhooks)), printers.Age(c.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

func mutatingView(w *admissionv1.MutatingWebhook) webhookView {
	return webhookView{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector,
		w.SideEffects, &w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions}
}
