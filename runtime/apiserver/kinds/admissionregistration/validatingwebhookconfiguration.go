package admissionregistration

import (
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func validatingWebhookConfiguration() kind.Kind {
	return kind.Kind{
		GVK:          admissionv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"),
		Resource:     "validatingwebhookconfigurations",
		Categories:   []string{"api-extensions"},
		Generation:   true,
		AnyFinalizer: true,
		Default: kind.On(func(c *admissionv1.ValidatingWebhookConfiguration) {
			for i := range c.Webhooks {
				defaultWebhook(validatingView(&c.Webhooks[i]))
			}
		}),
		Validate: kind.Check(func(c *admissionv1.ValidatingWebhookConfiguration) field.ErrorList {
			var errs field.ErrorList
			names := sets.New[string]()
			for i := range c.Webhooks {
				errs = append(errs, validateWebhook(validatingView(&c.Webhooks[i]), names, field.NewPath("webhooks").Index(i))...)
			}
			return errs
		}),
		Expressions: expressions(func(c *admissionv1.ValidatingWebhookConfiguration) (out []kind.Expression) {
			for i := range c.Webhooks {
				out = append(out, matchExpressions(c.Webhooks[i].MatchConditions, false, field.NewPath("webhooks").Index(i).Child("matchConditions"))...)
			}
			return out
		}),
		Columns: printers.Columns("Name", "#Webhooks", "Age"),
		Cells: kind.Cells(func(c *admissionv1.ValidatingWebhookConfiguration, now time.Time) []any {
			return []any{c.Name, int64(len(c.Webhooks)), printers.Age(c.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

func validatingView(w *admissionv1.ValidatingWebhook) webhookView {
	return webhookView{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector,
		w.SideEffects, &w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions}
}
