package podautoscaler

import (
	"context"
	"errors"
	"strconv"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/scale"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// scaled is a model of the scale subresource of one object of a resource in namespace d.
type scaled struct {
	scale.ScaleInterface // what is not modelled
	resource             schema.GroupResource
	name                 string
	version, want, there int32
	selector             string
	meanwhile            func() // something that happens between a read and a write, once
	refuse               error  // to be written
}

func (s *scaled) Scales(namespace string) scale.ScaleInterface {
	if namespace != "d" {
		return &scaled{name: "nothing is in " + namespace}
	}
	return s
}

func (s *scaled) Get(_ context.Context, gr schema.GroupResource, name string, _ metav1.GetOptions) (*autoscalingv1.Scale, error) {
	if gr != s.resource || name != s.name {
		return nil, apierrors.NewNotFound(gr, name)
	}
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name, ResourceVersion: strconv.Itoa(int(s.version))},
		Spec:       autoscalingv1.ScaleSpec{Replicas: s.want}, Status: autoscalingv1.ScaleStatus{Replicas: s.there, Selector: s.selector},
	}, nil
}

func (s *scaled) Update(_ context.Context, gr schema.GroupResource, now *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	if happens := s.meanwhile; happens != nil {
		s.meanwhile = nil
		happens()
	}
	switch {
	case gr != s.resource || now.Name != s.name:
		return nil, apierrors.NewNotFound(gr, now.Name)
	case s.refuse != nil:
		return nil, s.refuse
	case now.ResourceVersion != strconv.Itoa(int(s.version)):
		return nil, apierrors.NewConflict(gr, now.Name, errors.New("changed"))
	}
	s.version++
	s.want = now.Spec.Replicas
	return now, nil
}

// kinds are served as resources.
type kinds struct {
	meta.RESTMapper
	forgotten int
}

func (k *kinds) forget() bool { k.forgotten++; return true }

func newKinds(of ...schema.GroupVersionKind) *kinds {
	var versions []schema.GroupVersion
	for _, k := range of {
		versions = append(versions, k.GroupVersion())
	}
	m := meta.NewDefaultRESTMapper(versions)
	for _, k := range of {
		m.Add(k, meta.RESTScopeNamespace)
	}
	return &kinds{RESTMapper: m}
}

// readings are what the APIs of metrics say.
type readings struct {
	pods  samples
	value int64
	err   error
	asked []string
}

func (r *readings) ask(what ...string) error {
	text := what[0]
	for _, w := range what[1:] {
		text += " " + w
	}
	r.asked = append(r.asked, text)
	return r.err
}

func (r *readings) ofResource(_ context.Context, name corev1.ResourceName, container, namespace string, selector labels.Selector) (samples, error) {
	return r.pods, r.ask("resource", string(name), container, namespace, selector.String())
}

func (r *readings) ofPods(metric, namespace string, selector, of labels.Selector) (samples, error) {
	return r.pods, r.ask("pods", metric, namespace, selector.String(), of.String())
}

func (r *readings) ofObject(metric, namespace string, ref autoscalingv2.CrossVersionObjectReference, of labels.Selector) (int64, error) {
	return r.value, r.ask("object", metric, namespace, ref.Kind+"/"+ref.Name, of.String())
}

func (r *readings) ofExternal(metric, namespace string, of labels.Selector) (int64, error) {
	return r.value, r.ask("external", metric, namespace, of.String())
}

// world is an autoscaler among models: Deployment web with its pods, at noon.
type world struct {
	*autoscaler
	*controllertest.Fixture
	target *scaled
	kinds  *kinds
	says   *readings
}

func newWorld(t *testing.T, h *hpa, replicas int32, pods string, says *readings, others ...runtime.Object) *world {
	t.Helper()
	objects := append([]runtime.Object{h}, others...)
	for _, p := range podsOf(pods) {
		objects = append(objects, p)
	}
	f := controllertest.New(objects...)
	f.Clock.SetTime(noon)
	w := &world{
		Fixture: f, says: says, kinds: newKinds(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}),
		target: &scaled{resource: schema.GroupResource{Group: "apps", Resource: "deployments"}, name: "web", version: 7, want: replicas, there: int32(len(pods)), selector: "app=web"},
	}
	core, hpas := f.Deps.Informers.Core().V1(), f.Deps.Informers.Autoscaling().V2().HorizontalPodAutoscalers()
	w.autoscaler = &autoscaler{
		client: f.API, pods: core.Pods().Lister(), targets: targets{w.kinds, w.target}, source: says,
		events: f.Deps.Events, clock: f.Clock, log: f.Deps.Log, histories: map[types.NamespacedName]*history{},
	}
	w.watch(hpas.Informer(), core.Pods().Informer().HasSynced)
	f.Sync(t)
	return w
}

// step reconciles the HorizontalPodAutoscaler of a name, and returns it as it is then.
func (w *world) step(t *testing.T, name string) *hpa {
	t.Helper()
	if again, err := w.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: name}); again != syncPeriod || err != nil {
		t.Errorf("again in %s, %v", again, err)
	}
	h, err := w.API.AutoscalingV2().HorizontalPodAutoscalers("d").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}
