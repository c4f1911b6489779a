package core

import (
	"cmp"
	"fmt"
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
		ValidateName: validate.PathSegmentName,
		NoDependents: true,
		ShortNames:   []string{"ev"},
		Namespaced:   true,
		// Events are written far more than they are read, and a cache would hold all
		// of their TTL.
		NoWatchCache: true,
		TTL:          time.Hour,
		Validate: kind.Check(func(e *corev1.Event) field.ErrorList {
			return ValidateEvent(e, field.NewPath("reportingComponent"))
		}),
		Columns: printers.Columns(eventColumns()...),
		Cells:   kind.Cells(coreeventCells),
		Fields: kind.Fields(func(e *corev1.Event) fields.Set {
			return eventFields(e.InvolvedObject, e.Reason, e.Type, cmp.Or(e.Source.Component, e.ReportingController), e.ReportingController)
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
	return []string{"Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message", "+First Seen", "+Count", "+=Name"}
}

// The longest texts of an event that has an eventTime, in bytes.
const (
	maxEventText = 128
	maxEventNote = 1024
)

// ValidateEvent holds an event to what every version of it is held to. Those from before
// eventTime were never held to more than their namespace. Paths are those of the stored form,
// but for who reports, whose name differs between the versions.
func ValidateEvent(e *corev1.Event, reporter *field.Path) field.ErrorList {
	var errs field.ErrorList
	namespace, object := e.Namespace, e.InvolvedObject.Namespace
	agrees := object == namespace || object == "" && namespace == metav1.NamespaceDefault
	if !e.EventTime.IsZero() {
		agrees = object != "" || namespace == metav1.NamespaceDefault || namespace == metav1.NamespaceSystem
	}
	if !agrees {
		errs = append(errs, field.Invalid(field.NewPath("involvedObject", "namespace"), object, "does not match event.namespace"))
	}
	if e.EventTime.IsZero() {
		return errs
	}
	errs = append(errs, validate.Required(e.ReportingController, reporter)...)
	errs = append(errs, validate.QualifiedName(e.ReportingController, reporter)...)
	for _, f := range []struct{ name, text string }{
		{"reportingInstance", e.ReportingInstance},
		{"action", e.Action},
		{"reason", e.Reason},
	} {
		errs = append(errs, validate.Required(f.text, field.NewPath(f.name))...)
		errs = append(errs, eventText(f.text, f.name, maxEventText)...)
	}
	return append(errs, eventText(e.Message, "message", maxEventNote)...)
}

func eventText(text, name string, max int) field.ErrorList {
	if len(text) <= max {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath(name), "", fmt.Sprintf("can have at most %d characters", max))}
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
	source := cmp.Or(e.Source.Component, e.ReportingController)
	if host := cmp.Or(e.Source.Host, e.ReportingInstance); host != "" {
		source += ", " + host
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
