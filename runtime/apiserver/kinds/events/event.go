package events

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func event() kind.Kind {
	return kind.Kind{
		GVK:          eventsv1.SchemeGroupVersion.WithKind("Event"),
		Resource:     "events",
		NoDependents: true,
		ValidateName: validate.PathSegmentName,
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
		Validate: kind.Check(func(e *eventsv1.Event) field.ErrorList {
			return core.ValidateEvent(stored(e), field.NewPath("reportingController"))
		}),
		ValidateCreate: kind.Check(validateNew),
		ValidateUpdate: kind.CheckUpdate(validateUpdate),
		CreateOnUpdate: true,
	}
}

// stored is the form of an event that rules and the paths of their errors are of.
func stored(e *eventsv1.Event) *corev1.Event {
	var out corev1.Event
	_ = toCore(e, &out) // never fails: each field has its counterpart
	return &out
}

// validateNew holds a new event to what this version is stricter about than the stored one.
func validateNew(e *eventsv1.Event) field.ErrorList {
	errs := validateSeries(e.Series)
	if e.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if e.Type != corev1.EventTypeNormal && e.Type != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", "has invalid value: "+e.Type))
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"firstTimestamp", !e.DeprecatedFirstTimestamp.IsZero()},
		{"lastTimestamp", !e.DeprecatedLastTimestamp.IsZero()},
		{"count", e.DeprecatedCount != 0},
		{"source", e.DeprecatedSource != corev1.EventSource{}},
	} {
		if f.set {
			errs = append(errs, field.Invalid(field.NewPath(f.name), "", "needs to be unset"))
		}
	}
	return errs
}

func validateSeries(s *eventsv1.EventSeries) field.ErrorList {
	if s == nil {
		return nil
	}
	var errs field.ErrorList
	if s.Count < 2 {
		errs = append(errs, field.Invalid(field.NewPath("series.count"), "", "should be at least 2"))
	}
	if s.LastObservedTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("series.lastObservedTime"), ""))
	}
	return errs
}

// validateUpdate: of an event only its series goes on. Clients may write its time with less
// precision than they read.
func validateUpdate(e, old *eventsv1.Event) field.ErrorList {
	var errs field.ErrorList
	if !equality.Semantic.DeepEqual(e.Series, old.Series) {
		errs = validateSeries(e.Series)
	}
	for _, f := range []struct {
		name     string
		now, old any
	}{
		{"reportingController", e.ReportingController, old.ReportingController},
		{"reportingInstance", e.ReportingInstance, old.ReportingInstance},
		{"action", e.Action, old.Action},
		{"reason", e.Reason, old.Reason},
		{"message", e.Note, old.Note},
		{"type", e.Type, old.Type},
		{"involvedObject", e.Regarding, old.Regarding},
		{"related", e.Related, old.Related},
		{"source", e.DeprecatedSource, old.DeprecatedSource},
		{"firstTimestamp", e.DeprecatedFirstTimestamp, old.DeprecatedFirstTimestamp},
		{"lastTimestamp", e.DeprecatedLastTimestamp, old.DeprecatedLastTimestamp},
		{"count", e.DeprecatedCount, old.DeprecatedCount},
	} {
		errs = append(errs, validate.Immutable(f.now, f.old, field.NewPath(f.name))...)
	}
	if !e.EventTime.Truncate(time.Microsecond).Equal(old.EventTime.Truncate(time.Microsecond)) {
		errs = append(errs, validate.Immutable(e.EventTime, old.EventTime, field.NewPath("eventTime"))...)
	}
	return errs
}
