package events

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// Limits of the text of an event of the newer group, in bytes.
const (
	maxEventText   = 128
	maxEventReport = 253
	maxEventNote   = 1024
)

func event() kind.Kind {
	return kind.Kind{
		GVK:          eventsv1.SchemeGroupVersion.WithKind("Event"),
		Resource:     "events",
		AnyFinalizer: true,
		NoDependents: true,
		ShortNames:   []string{"ev"},
		Namespaced:   true,
		Alias: &kind.Alias{
			Of: corev1.SchemeGroupVersion.WithKind("Event"), Conversion: kind.Convert(toCore, fromCore),
			Fields: map[string]string{
				"regarding.kind": "involvedObject.kind", "regarding.namespace": "involvedObject.namespace", "regarding.name": "involvedObject.name",
				"regarding.uid": "involvedObject.uid", "regarding.apiVersion": "involvedObject.apiVersion",
				"regarding.resourceVersion": "involvedObject.resourceVersion", "regarding.fieldPath": "involvedObject.fieldPath",
				"reason": "reason", "reportingController": "reportingComponent", "type": "type",
			},
		},
		Validate: kind.Check(validateEvent),
		ValidateUpdate: kind.CheckUpdate(func(e, old *eventsv1.Event) field.ErrorList {
			var errs field.ErrorList
			for _, f := range []struct {
				name     string
				now, old any
			}{
				{"reportingController", e.ReportingController, old.ReportingController},
				{"reportingInstance", e.ReportingInstance, old.ReportingInstance},
				{"action", e.Action, old.Action}, {"reason", e.Reason, old.Reason}, {"note", e.Note, old.Note},
				{"type", e.Type, old.Type}, {"regarding", e.Regarding, old.Regarding}, {"related", e.Related, old.Related},
			} {
				errs = append(errs, validate.Immutable(f.now, f.old, field.NewPath(f.name))...)
			}
			return errs
		}),
		CreateOnUpdate: true,
	}
}

func validateEvent(e *eventsv1.Event) field.ErrorList {
	errs := core.EventNamespace(e.Namespace, e.Regarding.Namespace, field.NewPath("regarding", "namespace"))
	if e.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	errs = append(errs, eventText(e.ReportingController, "reportingController", maxEventReport)...)
	errs = append(errs, eventText(e.ReportingInstance, "reportingInstance", maxEventText)...)
	errs = append(errs, eventText(e.Action, "action", maxEventText)...)
	errs = append(errs, eventText(e.Reason, "reason", maxEventText)...)
	if len(e.Note) > maxEventNote {
		errs = append(errs, field.Invalid(field.NewPath("note"), "", fmt.Sprintf("can have at most %d bytes", maxEventNote)))
	}
	return append(errs, validate.OneOf(e.Type, field.NewPath("type"), corev1.EventTypeNormal, corev1.EventTypeWarning)...)
}

func eventText(s, name string, max int) field.ErrorList {
	errs := validate.Required(s, field.NewPath(name))
	if len(s) > max {
		errs = append(errs, field.Invalid(field.NewPath(name), "", fmt.Sprintf("can have at most %d characters", max)))
	}
	return errs
}
