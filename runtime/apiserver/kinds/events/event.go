package events

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
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
		GVK:        eventsv1.SchemeGroupVersion.WithKind("Event"),
		Resource:   "events",
		ShortNames: []string{"ev"},
		Namespaced: true,
		Validate:   kind.Check(validateEvent),
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
		Columns: printers.Columns(core.EventColumns()...),
		Cells: kind.Cells(func(e *eventsv1.Event, now time.Time) []any {
			first, last, count := e.DeprecatedFirstTimestamp, e.DeprecatedLastTimestamp, int64(e.DeprecatedCount)
			if e.Series != nil {
				count, last = int64(e.Series.Count), metav1.Time{Time: e.Series.LastObservedTime.Time}
			}
			if last.IsZero() {
				last = metav1.Time{Time: e.EventTime.Time}
			}
			if first.IsZero() {
				first = metav1.Time{Time: e.EventTime.Time}
			}
			return core.EventCells(e.Name, e.Type, e.Reason, e.Regarding, e.ReportingController, e.Note, first, last, max(count, 1), now)
		}),
		Fields: kind.Fields(func(e *eventsv1.Event) fields.Set {
			source := e.DeprecatedSource.Component
			if source == "" {
				source = e.ReportingController
			}
			return core.EventFields(e.Regarding, e.Reason, e.Type, source, e.ReportingController)
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
