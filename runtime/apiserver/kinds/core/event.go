package core

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func event() kind.Kind {
	return kind.Kind{
		GVK:          corev1.SchemeGroupVersion.WithKind("Event"),
		Resource:     "events",
		AnyFinalizer: true,
		NoDependents: true,
		ShortNames:   []string{"ev"},
		Namespaced:   true,
		// Events are written far more than they are read, and a cache would hold all
		// of their TTL.
		NoWatchCache: true,
		TTL:          time.Hour,
		Validate:     kind.Check(validateCoreEvent),
		Columns:      printers.Columns(eventColumns()...),
		Cells:        kind.Cells(coreeventCells),
		Fields: kind.Fields(func(e *corev1.Event) fields.Set {
			source := e.Source.Component
			if source == "" {
				source = e.ReportingController
			}
			return eventFields(e.InvolvedObject, e.Reason, e.Type, source, e.ReportingController)
		}),
		CreateOnUpdate: true,
	}
}

// eventFields have the names of this group; the newer one has names of its own for them.
func eventFields(o corev1.ObjectReference, reason, eventType, source, reporter string) fields.Set {
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
		"type":                           eventType,
	}
}

// eventColumns are the same for both groups.
func eventColumns() []string {
	return []string{"Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message", "+First Seen", "+#Count", "+Name"}
}

func validateCoreEvent(e *corev1.Event) field.ErrorList {
	errs := EventNamespace(e.Namespace, e.InvolvedObject.Namespace, field.NewPath("involvedObject", "namespace"))
	if e.EventTime.IsZero() {
		// Events from before eventTime were never held to more.
		return errs
	}
	errs = append(errs, validate.Required(e.ReportingController, field.NewPath("reportingController"))...)
	errs = append(errs, validate.Required(e.ReportingInstance, field.NewPath("reportingInstance"))...)
	errs = append(errs, validate.Required(e.Action, field.NewPath("action"))...)
	errs = append(errs, validate.Required(e.Reason, field.NewPath("reason"))...)
	return append(errs, validate.OneOf(e.Type, field.NewPath("type"), corev1.EventTypeNormal, corev1.EventTypeWarning)...)
}

// eventNamespace: an event lives in the namespace of what it is about, and in
// default where that is a cluster-wide object.
func EventNamespace(own, object string, path *field.Path) field.ErrorList {
	if object == own || (object == "" && (own == metav1.NamespaceDefault || own == metav1.NamespaceSystem)) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, object, "does not match event.namespace")}
}

func coreeventCells(e *corev1.Event, now time.Time) []any {
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

// eventCells are those of [eventColumns].
func eventCells(name, eventType, reason string, o corev1.ObjectReference, source, message string, first, last metav1.Time, count int64, now time.Time) []any {
	target := strings.ToLower(o.Kind)
	if o.Name != "" {
		target += "/" + o.Name
	}
	return []any{eventAge(last, now), eventType, reason, target, o.FieldPath, source, strings.TrimSpace(message), eventAge(first, now), count, name}
}

func eventAge(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return printers.Unknown
	}
	return duration.HumanDuration(now.Sub(t.Time))
}
