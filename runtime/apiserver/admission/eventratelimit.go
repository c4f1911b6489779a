package admission

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/gantry-run/gantry/runtime/config"
)

// eventCacheSize is how many allowances of a type are remembered by default.
const eventCacheSize = 4096

// EventRateLimit refuses events that come faster than the configured limits: a
// client that writes them in a loop would fill etcd. It is off by default.
type EventRateLimit struct {
	clock  clock.PassiveClock
	limits []*eventLimit
}

var _ admission.ValidationInterface = &EventRateLimit{}

// NewEventRateLimit returns the plugin; the limits are checked already.
func NewEventRateLimit(limits []config.EventLimit, c clock.PassiveClock) *EventRateLimit {
	p := &EventRateLimit{clock: c}
	for _, l := range limits {
		size := int(l.CacheSize)
		if size == 0 {
			size = eventCacheSize
		}
		p.limits = append(p.limits, &eventLimit{EventLimit: l, buckets: lru.New(size)})
	}
	return p
}

// Handles says that writes are looked at.
func (p *EventRateLimit) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Validate takes one from the allowance of each limit.
func (p *EventRateLimit) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	switch a.GetResource().GroupResource() {
	case corev1.Resource("events"), eventsv1.Resource("events"):
	default:
		return nil
	}
	if a.IsDryRun() {
		return nil
	}
	var errs []error
	for _, l := range p.limits {
		key := l.key(a)
		if !l.bucket(key).AllowN(p.clock.Now(), 1) {
			errs = append(errs, fmt.Errorf("limit reached on type %s for key %s", l.Type, key))
		}
	}
	if err := utilerrors.NewAggregate(errs); err != nil {
		return errors.NewTooManyRequestsError(err.Error())
	}
	return nil
}

type eventLimit struct {
	config.EventLimit
	mu      sync.Mutex // two requests must not make two buckets of one key
	buckets *lru.Cache
}

func (l *eventLimit) bucket(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.buckets.Get(key); ok {
		return b.(*rate.Limiter)
	}
	b := rate.NewLimiter(rate.Limit(l.QPS), int(l.Burst))
	l.buckets.Add(key, b)
	return b
}

// key says which events share an allowance.
func (l *eventLimit) key(a admission.Attributes) string {
	switch l.Type {
	case config.EventsOfNamespace:
		return a.GetNamespace()
	case config.EventsOfUser:
		if u := a.GetUserInfo(); u != nil {
			return u.GetName()
		}
	case config.EventsOfSourceAndObject:
		switch e := a.GetObject().(type) {
		case *corev1.Event:
			return sourceAndObject(e.Source.Component, e.Source.Host, e.InvolvedObject)
		case *eventsv1.Event:
			return sourceAndObject(e.ReportingController, e.ReportingInstance, e.Regarding)
		}
	}
	return "" // the whole server
}

func sourceAndObject(component, host string, of corev1.ObjectReference) string {
	return strings.Join([]string{component, host, of.Kind, of.Namespace, of.Name, string(of.UID), of.APIVersion}, "")
}
