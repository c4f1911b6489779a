package podautoscaler

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// TestWhatIsServedIsLearntAnew: a kind that came after what is served was discovered is found,
// and nobody who asks for what does not exist has it discovered all the time.
func TestWhatIsServedIsLearntAnew(t *testing.T) {
	api := controllertest.New().API
	d := api.Discovery().(*fakediscovery.FakeDiscovery)
	asked := 0
	count := func() int { n := len(api.Actions()); api.ClearActions(); return n }
	serve := func(kinds ...string) {
		list := &metav1.APIResourceList{GroupVersion: "example.com/v1"}
		for _, k := range kinds {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: k + "s", Kind: k, Namespaced: true, Verbs: metav1.Verbs{"get"}})
		}
		d.Resources = []*metav1.APIResourceList{list}
	}
	clk := clocktesting.NewFakeClock(noon)
	m := &mapper{clock: clk, DeferredDiscoveryRESTMapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))}
	find := func(kind string) bool {
		t.Helper()
		gk := schema.GroupKind{Group: "example.com", Kind: kind}
		all, err := m.RESTMappings(gk)
		one, err2 := m.RESTMapping(gk)
		if (err == nil) != (err2 == nil) || err == nil && (len(all) != 1 || all[0].Resource != one.Resource || one.Resource.Resource != kind+"s") || err != nil && !meta.IsNoMatchError(err) {
			t.Errorf("%s: %v, %v; %v, %v", kind, all, err, one, err2)
		}
		return err == nil
	}
	if serve("old"); !find("old") {
		t.Error("what is served is not found")
	}
	if asked = count(); asked == 0 {
		t.Error("nobody was asked")
	}
	if serve("old", "new"); !find("new") {
		t.Error("what came is not found")
	}
	if count() == 0 {
		t.Error("nobody was asked again")
	}
	if find("none") || count() != 0 {
		t.Error("asked again at once")
	}
	if clk.Step(rediscovery); find("none") || count() == 0 {
		t.Error("not asked again later")
	}
	if clk.Step(time.Hour); !find("old") || count() != 0 {
		t.Error("asked again for what is known")
	}
	serve("new")
	if !m.forget() || find("old") {
		t.Error("what is gone is found")
	}
}

// failing is the scale subresource of what cannot be read.
type failing struct{ err error }

func (f failing) Scales(string) scale.ScaleInterface { return f }

func (f failing) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	return nil, f.err
}

func (f failing) Update(context.Context, schema.GroupResource, *autoscalingv1.Scale, metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	return nil, f.err
}

func (f failing) Patch(context.Context, schema.GroupVersionResource, string, types.PatchType, []byte, metav1.PatchOptions) (*autoscalingv1.Scale, error) {
	return nil, f.err
}

func TestTheTargetIsLookedForInAllResources(t *testing.T) {
	gone := apierrors.NewGenericServerResponse(404, "get", schema.GroupResource{Group: "apps", Resource: "deployments"}, "web", "404 page not found", 0, true)
	ref := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	deployment := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	k := newKinds(deployment)
	s := &scaled{resource: schema.GroupResource{Group: "apps", Resource: "deployments"}, name: "web", want: 3}
	got, gr, err := targets{k, s}.get(t.Context(), "d", ref)
	if err != nil || got.Spec.Replicas != 3 || gr != s.resource || k.forgotten != 0 {
		t.Errorf("%v of %v, %v", got, gr, err)
	}
	if _, _, err := (targets{k, s}).get(t.Context(), "other", ref); !apierrors.IsNotFound(err) || k.forgotten != 0 {
		t.Errorf("of another namespace: %v, forgotten %d times", err, k.forgotten)
	}
	if _, _, err := (targets{k, failing{gone}}).get(t.Context(), "d", ref); !errors.Is(err, error(gone)) || k.forgotten != 1 {
		t.Errorf("of a resource that is served no longer: %v, forgotten %d times", err, k.forgotten)
	}
	none := &kinds{RESTMapper: nothing{}}
	if _, _, err := (targets{none, s}).get(t.Context(), "d", ref); err == nil || err.Error() != "unrecognized resource" {
		t.Errorf("of no resource: %v", err)
	}
	two := &kinds{RESTMapper: both{}}
	if _, gr, err := (targets{two, s}).get(t.Context(), "d", ref); err != nil || gr != s.resource {
		t.Errorf("of the second resource: %v, %v", gr, err)
	}
	if _, _, err := (targets{two, s}).get(t.Context(), "other", ref); err == nil || err.Error() != `firsts.apps "web" not found` {
		t.Errorf("of neither: %v", err)
	}
}

type nothing struct{ meta.RESTMapper }

func (nothing) RESTMappings(schema.GroupKind, ...string) ([]*meta.RESTMapping, error) {
	return nil, nil
}

type both struct{ meta.RESTMapper }

func (both) RESTMappings(schema.GroupKind, ...string) ([]*meta.RESTMapping, error) {
	gv := schema.GroupVersion{Group: "apps", Version: "v1"}
	return []*meta.RESTMapping{{Resource: gv.WithResource("firsts")}, {Resource: gv.WithResource("deployments")}}, nil
}

// TestSelecting: whose selectors match a namespace's pods.
func TestSelecting(t *testing.T) {
	var s selectors
	key := func(namespace, name string) types.NamespacedName {
		return types.NamespacedName{Namespace: namespace, Name: name}
	}
	for k, text := range map[types.NamespacedName]string{key("d", "b"): "app=web", key("d", "a"): "app", key("d", "c"): "app=db", key("e", "x"): "app=web"} {
		s.put(k, selectorOf(t, text))
	}
	pods := func(apps ...string) []*corev1.Pod {
		var out []*corev1.Pod
		for _, app := range apps {
			out = append(out, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: labels.Set{"app": app}}})
		}
		return out
	}
	check := func(namespace string, of []*corev1.Pod, want ...types.NamespacedName) {
		t.Helper()
		if got := s.selecting(namespace, of); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	check("d", pods("web", "web"), key("d", "a"), key("d", "b"))
	check("d", pods("web", "db"), key("d", "a"), key("d", "b"), key("d", "c"))
	check("d", pods("other"), key("d", "a"))
	check("d", nil)
	check("e", pods("web"), key("e", "x"))
	s.put(key("d", "a"), selectorOf(t, "app=cache"))
	check("d", pods("web"), key("d", "b"))
	s.forget(key("d", "b"))
	check("d", pods("web"))
	s.forget(key("d", "b"))
	s.forget(key("e", "x"))
	if len(s.of) != 1 {
		t.Errorf("an empty namespace is remembered: %v", s.of)
	}
}
