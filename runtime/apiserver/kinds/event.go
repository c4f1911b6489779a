package kinds

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Limits of the text of an event of the newer group, in bytes.
const (
	maxEventText   = 128
	maxEventReport = 253
	maxEventNote   = 1024
)

func coreEvent() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Event"),
		Resource:   "events",
		ShortNames: []string{"ev"},
		Namespaced: true,
		Validate:   check(validateCoreEvent),
		Columns:    columns(eventColumns()...),
		Cells:      cells(coreEventCells),
		Fields: selectable(func(e *corev1.Event) fields.Set {
			source := e.Source.Component
			if source == "" {
				source = e.ReportingController
			}
			return eventFields(e.InvolvedObject, e.Reason, e.Type, source, e.ReportingController)
		}),
		CreateOnUpdate: true,
	}
}

// eventFields are the same for both groups, by the older names: a selector
// works whichever group a client reads.
func eventFields(o corev1.ObjectReference, reason, kind, source, reporter string) fields.Set {
	return fields.Set{
		"involvedObject.kind":            o.Kind,
		"involvedObject.namespace":       o.Namespace,
		"involvedObject.name":            o.Name,
		"involvedObject.uid":             string(o.UID),
		"involvedObject.apiVersion":      o.APIVersion,
		"involvedObject.resourceVersion": o.ResourceVersion,
		"involvedObject.fieldPath":       o.FieldPath,
		"reason":                         reason,
		"reportingComponent":             reporter,
		"source":                         source,
		"type":                           kind,
	}
}

func eventColumns() []string {
	return []string{"Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message", "+First Seen", "+#Count", "+Name"}
}

func validateCoreEvent(e *corev1.Event) field.ErrorList {
	errs := eventNamespace(e.Namespace, e.InvolvedObject.Namespace, field.NewPath("involvedObject", "namespace"))
	if e.EventTime.IsZero() {
		// Events from before eventTime were never held to more.
		return errs
	}
	errs = append(errs, required(e.ReportingController, field.NewPath("reportingController"))...)
	errs = append(errs, required(e.ReportingInstance, field.NewPath("reportingInstance"))...)
	errs = append(errs, required(e.Action, field.NewPath("action"))...)
	errs = append(errs, required(e.Reason, field.NewPath("reason"))...)
	return append(errs, oneOf(e.Type, field.NewPath("type"), corev1.EventTypeNormal, corev1.EventTypeWarning)...)
}

// eventNamespace: an event lives in the namespace of what it is about, and in
// default where that is a cluster-wide object.
func eventNamespace(own, object string, path *field.Path) field.ErrorList {
	if object == own || (object == "" && (own == metav1.NamespaceDefault || own == metav1.NamespaceSystem)) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, object, "does not match event.namespace")}
}

func coreEventCells(e *corev1.Event, now time.Time) []any {
	count, last := int64(e.Count), e.LastTimestamp
	if e.Series != nil {
		count, last = int64(e.Series.Count), metav1.Time{Time: e.Series.LastObservedTime.Time}
	}
	if count == 0 {
		count = 1
	}
	if last.IsZero() {
		last = metav1.Time{Time: e.EventTime.Time}
	}
	first := e.FirstTimestamp
	if first.IsZero() {
		first = metav1.Time{Time: e.EventTime.Time}
	}
	source := e.Source.Component
	if source == "" {
		source = e.ReportingController
	}
	if e.Source.Host != "" {
		source += ", " + e.Source.Host
	}
	return eventCells(e.Name, e.Type, e.Reason, e.InvolvedObject, source, e.Message, first, last, count, now)
}

func eventCells(name, kind, reason string, o corev1.ObjectReference, source, message string, first, last metav1.Time, count int64, now time.Time) []any {
	target := strings.ToLower(o.Kind)
	if o.Name != "" {
		target += "/" + o.Name
	}
	return []any{eventAge(last, now), kind, reason, target, o.FieldPath, source, strings.TrimSpace(message), eventAge(first, now), count, name}
}

func eventAge(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

func event() Kind {
	return Kind{
		GVK:        eventsv1.SchemeGroupVersion.WithKind("Event"),
		Resource:   "events",
		ShortNames: []string{"ev"},
		Namespaced: true,
		Validate:   check(validateEvent),
		ValidateUpdate: checkUpdate(func(e, old *eventsv1.Event) field.ErrorList {
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
				errs = append(errs, immutable(f.now, f.old, field.NewPath(f.name))...)
			}
			return errs
		}),
		Columns: columns(eventColumns()...),
		Cells: cells(func(e *eventsv1.Event, now time.Time) []any {
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
			return eventCells(e.Name, e.Type, e.Reason, e.Regarding, e.ReportingController, e.Note, first, last, max(count, 1), now)
		}),
		Fields: selectable(func(e *eventsv1.Event) fields.Set {
			source := e.DeprecatedSource.Component
			if source == "" {
				source = e.ReportingController
			}
			return eventFields(e.Regarding, e.Reason, e.Type, source, e.ReportingController)
		}),
		CreateOnUpdate: true,
	}
}

func validateEvent(e *eventsv1.Event) field.ErrorList {
	errs := eventNamespace(e.Namespace, e.Regarding.Namespace, field.NewPath("regarding", "namespace"))
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
	return append(errs, oneOf(e.Type, field.NewPath("type"), corev1.EventTypeNormal, corev1.EventTypeWarning)...)
}

func eventText(s, name string, max int) field.ErrorList {
	errs := required(s, field.NewPath(name))
	if len(s) > max {
		errs = append(errs, field.Invalid(field.NewPath(name), "", fmt.Sprintf("can have at most %d characters", max)))
	}
	return errs
}
