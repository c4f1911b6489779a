package registry

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SharesStorage returns the resource whose objects a row serves under another
// group's form: events of events.k8s.io are those of the core group.
func SharesStorage(gr schema.GroupResource) (schema.GroupResource, bool) {
	if gr == eventsv1.Resource("events") {
		return corev1.Resource("events"), true
	}
	return schema.GroupResource{}, false
}

// addEventsHub makes the core form the hub of both groups' events.
func addEventsHub(s *runtime.Scheme) error {
	hub := schema.GroupVersion{Group: eventsv1.GroupName, Version: runtime.APIVersionInternal}
	s.AddKnownTypeWithName(hub.WithKind("Event"), &corev1.Event{})
	s.AddKnownTypeWithName(hub.WithKind("EventList"), &corev1.EventList{})
	if err := s.AddConversionFunc(&eventsv1.Event{}, &corev1.Event{}, func(in, out any, _ conversion.Scope) error {
		toCore(in.(*eventsv1.Event), out.(*corev1.Event))
		return nil
	}); err != nil {
		return err
	}
	if err := s.AddConversionFunc(&corev1.Event{}, &eventsv1.Event{}, func(in, out any, _ conversion.Scope) error {
		fromCore(in.(*corev1.Event), out.(*eventsv1.Event))
		return nil
	}); err != nil {
		return err
	}
	if err := s.AddConversionFunc(&eventsv1.EventList{}, &corev1.EventList{}, func(in, out any, _ conversion.Scope) error {
		from, to := in.(*eventsv1.EventList), out.(*corev1.EventList)
		to.ListMeta, to.Items = from.ListMeta, make([]corev1.Event, len(from.Items))
		for i := range from.Items {
			toCore(&from.Items[i], &to.Items[i])
		}
		return nil
	}); err != nil {
		return err
	}
	return s.AddConversionFunc(&corev1.EventList{}, &eventsv1.EventList{}, func(in, out any, _ conversion.Scope) error {
		from, to := in.(*corev1.EventList), out.(*eventsv1.EventList)
		to.ListMeta, to.Items = from.ListMeta, make([]eventsv1.Event, len(from.Items))
		for i := range from.Items {
			fromCore(&from.Items[i], &to.Items[i])
		}
		return nil
	})
}

func toCore(in *eventsv1.Event, out *corev1.Event) {
	*out = corev1.Event{
		ObjectMeta: in.ObjectMeta, InvolvedObject: in.Regarding, Related: in.Related,
		Reason: in.Reason, Message: in.Note, Type: in.Type, Action: in.Action,
		EventTime: in.EventTime, ReportingController: in.ReportingController, ReportingInstance: in.ReportingInstance,
		Source: in.DeprecatedSource, Count: in.DeprecatedCount,
		FirstTimestamp: in.DeprecatedFirstTimestamp, LastTimestamp: in.DeprecatedLastTimestamp,
	}
	if in.Series != nil {
		out.Series = &corev1.EventSeries{Count: in.Series.Count, LastObservedTime: in.Series.LastObservedTime}
	}
}

func fromCore(in *corev1.Event, out *eventsv1.Event) {
	*out = eventsv1.Event{
		ObjectMeta: in.ObjectMeta, Regarding: in.InvolvedObject, Related: in.Related,
		Reason: in.Reason, Note: in.Message, Type: in.Type, Action: in.Action,
		EventTime: in.EventTime, ReportingController: in.ReportingController, ReportingInstance: in.ReportingInstance,
		DeprecatedSource: in.Source, DeprecatedCount: in.Count,
		DeprecatedFirstTimestamp: in.FirstTimestamp, DeprecatedLastTimestamp: in.LastTimestamp,
	}
	if in.Series != nil {
		out.Series = &eventsv1.EventSeries{Count: in.Series.Count, LastObservedTime: in.Series.LastObservedTime}
	}
}
