package podautoscaler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
)

// mapper finds as which resource a kind is served. What is served is discovered when it is
// asked first, and again when it is asked for what it does not know.
type mapper struct {
	*restmapper.DeferredDiscoveryRESTMapper
	clock clock.PassiveClock

	mu         sync.Mutex
	discovered time.Time
}

// rediscovery is how often at most all that is served is discovered again.
const rediscovery = 5 * time.Second

// RESTMapping is for the clients of metrics, which ask for the kind that a metric is of.
func (m *mapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	found, err := m.DeferredDiscoveryRESTMapper.RESTMapping(gk, versions...)
	if meta.IsNoMatchError(err) && m.forget() {
		return m.DeferredDiscoveryRESTMapper.RESTMapping(gk, versions...)
	}
	return found, err
}

// RESTMappings is for the target.
func (m *mapper) RESTMappings(gk schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error) {
	found, err := m.DeferredDiscoveryRESTMapper.RESTMappings(gk, versions...)
	if meta.IsNoMatchError(err) && m.forget() {
		return m.DeferredDiscoveryRESTMapper.RESTMappings(gk, versions...)
	}
	return found, err
}

// forget drops what was discovered, unless that is new.
func (m *mapper) forget() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.clock.Now(); now.Sub(m.discovered) >= rediscovery {
		m.discovered = now
		m.Reset()
		return true
	}
	return false
}

// resources finds as which resources a kind is served, and is told when it was wrong.
type resources interface {
	RESTMappings(gk schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error)
	forget() bool
}

// targets are the scale subresources of what HorizontalPodAutoscalers name.
type targets struct {
	resources resources
	scales    scale.ScalesGetter
}

// get returns the scale of a target, and the resource that has it: the first of those by
// which the kind is served that knows the target.
func (t targets) get(ctx context.Context, namespace string, ref autoscalingv2.CrossVersionObjectReference) (*autoscalingv1.Scale, schema.GroupResource, error) {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, schema.GroupResource{}, err
	}
	mappings, err := t.resources.RESTMappings(schema.GroupKind{Group: gv.Group, Kind: ref.Kind})
	if err != nil {
		return nil, schema.GroupResource{}, err
	}
	err = errors.New("unrecognized resource")
	for i, m := range mappings {
		gr := m.Resource.GroupResource()
		s, failed := t.scales.Scales(namespace).Get(ctx, gr, ref.Name, metav1.GetOptions{})
		if failed == nil {
			return s, gr, nil
		}
		if i == 0 {
			err = failed
		}
	}
	// Not the object is unknown but its kind: it is served no longer, or as another resource.
	if apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		t.resources.forget()
	}
	return nil, schema.GroupResource{}, err
}

// set gives a target another size. One that changed since it was read is read again.
func (t targets) set(ctx context.Context, namespace string, gr schema.GroupResource, s *autoscalingv1.Scale, replicas int32) error {
	at := t.scales.Scales(namespace)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		s.Spec.Replicas = replicas
		_, err := at.Update(ctx, gr, s, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			now, failed := at.Get(ctx, gr, s.Name, metav1.GetOptions{})
			if failed != nil {
				return fmt.Errorf("%w; read it again: %w", err, failed)
			}
			s = now
		}
		return err
	})
}
