package admission

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/config"
)

func TestEventRateLimit(t *testing.T) {
	event := func(ns, who, component, object string) write {
		return write{resource: "events", user: &user.DefaultInfo{Name: who},
			obj: &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e"}, Source: corev1.EventSource{Component: component}, InvolvedObject: corev1.ObjectReference{Name: object}}}
	}
	newer := event("a", "x", "c", "o")
	newer.group, newer.obj = "events.k8s.io", &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "e"}, ReportingController: "c", Regarding: corev1.ObjectReference{Name: "o"}}
	// Two of a kind are let in, the third is not, unless it has an allowance of its own.
	for name, tt := range map[string]struct {
		limit config.EventLimitType
		other write
		own   bool
	}{
		"the server's":          {config.EventsOfServer, event("b", "y", "d", "p"), false},
		"the same namespace's":  {config.EventsOfNamespace, event("a", "y", "d", "p"), false},
		"another namespace's":   {config.EventsOfNamespace, event("b", "x", "c", "o"), true},
		"the same user's":       {config.EventsOfUser, event("b", "x", "d", "p"), false},
		"another user's":        {config.EventsOfUser, event("a", "y", "c", "o"), true},
		"the same object's":     {config.EventsOfSourceAndObject, event("b", "y", "c", "o"), false},
		"another object's":      {config.EventsOfSourceAndObject, event("a", "x", "c", "p"), true},
		"another source's":      {config.EventsOfSourceAndObject, event("a", "x", "d", "o"), true},
		"of the newer group":    {config.EventsOfSourceAndObject, newer, false},
		"of it, in a namespace": {config.EventsOfNamespace, newer, false},
	} {
		c := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
		p := NewEventRateLimit([]config.EventLimit{{Type: tt.limit, QPS: 1, Burst: 2}}, c)
		ask := func(w write) bool {
			err := p.Validate(t.Context(), w.attributes(t), nil)
			if err != nil && !apierrors.IsTooManyRequests(err) {
				t.Errorf("%s: %v", name, err)
			}
			return err == nil
		}
		first := event("a", "x", "c", "o")
		update := first
		update.op, update.old = admission.Update, first.obj
		if !ask(first) || !ask(update) || ask(first) || ask(tt.other) != tt.own {
			t.Errorf("%s: not as it should be", name)
		}
		c.SetTime(c.Now().Add(time.Second))
		if !ask(first) || ask(first) {
			t.Errorf("%s: a second later it is not one more", name)
		}
	}
}

func TestEventRateLimitOnlyOfEvents(t *testing.T) {
	p := NewEventRateLimit([]config.EventLimit{
		{Type: config.EventsOfNamespace, QPS: 1, Burst: 1, CacheSize: 1},
		{Type: config.EventsOfServer, QPS: 1, Burst: 3},
	}, clocktesting.NewFakePassiveClock(time.Unix(1000, 0)))
	in := func(ns string) error {
		return p.Validate(t.Context(), write{resource: "events", namespace: ns, obj: &corev1.Event{}}.attributes(t), nil)
	}
	dry := admission.NewAttributesRecord(&corev1.Event{}, nil, corev1.SchemeGroupVersion.WithKind("Event"), "a", "e", corev1.SchemeGroupVersion.WithResource("events"), "", admission.Create, nil, true, nil)
	for range 9 {
		if err := p.Validate(t.Context(), creation(t, pod(corev1.PodSpec{})), nil); err != nil {
			t.Error(err)
		}
		if err := p.Validate(t.Context(), dry, nil); err != nil {
			t.Error(err)
		}
	}
	// One namespace is remembered: the other's event gives the first a new allowance.
	if in("a") != nil || in("b") != nil || in("a") != nil {
		t.Error("namespaces that were forgotten begin anew")
	}
	err := in("a")
	if err == nil || err.Error() != "Too many requests: [limit reached on type Namespace for key a, limit reached on type Server for key ]" {
		t.Error(err)
	}
}
