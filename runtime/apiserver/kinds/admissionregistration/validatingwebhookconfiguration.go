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
