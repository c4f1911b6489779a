package endpointslices

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func service(change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: "web", UID: "u"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}},
		ClusterIP: "10.96.0.7", ClusterIPs: []string{"10.96.0.7"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
	}}
	for _, f := range change {
		f(s)
	}
	return s
}

func pod(app string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: app, Labels: map[string]string{"app": app}}, Spec: corev1.PodSpec{NodeName: "n"}, Status: corev1.PodStatus{
		Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.1.0.1"}}, PodIP: "10.1.0.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}}
}

// slice is one of the Service, which another controller may have made.
func slice(name, by string, change ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "d", Name: name, UID: types.UID(name), Labels: map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: by}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func ends(s *discoveryv1.EndpointSlice) {
	s.DeletionTimestamp = &metav1.Time{Time: controllertest.Start}
}

type world struct {
	*controllertest.Fixture
	controller *Controller
}

func newWorld(t *testing.T, objects ...runtime.Object) world {
	t.Helper()
	f := controllertest.New(append(objects, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})...)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	return world{f, r}
}

var web = types.NamespacedName{Namespace: "d", Name: "web"}

// TestWhatBecomesOfAService: its slices are made and kept by what its selector means; those
// of others, and those that end, are not looked at. A Service without a selector, and one
// that is a name elsewhere, has none of ours.
func TestWhatBecomesOfAService(t *testing.T) {
	for name, tc := range map[string]struct {
		objects []runtime.Object
		want    []string
	}{
		"it has pods":                 {[]runtime.Object{service(), pod("web"), pod("db")}, []string{"create endpointslices web-*"}},
		"it has none":                 {[]runtime.Object{service()}, []string{"create endpointslices web-*"}},
		"it has a slice without them": {[]runtime.Object{service(), pod("web"), slice("a", managedBy)}, []string{"create endpointslices web-*", "delete endpointslices a"}},
		"its slice ends":              {[]runtime.Object{service(), slice("a", managedBy, ends)}, []string{"create endpointslices web-*"}},
		"another has made one":        {[]runtime.Object{service(), slice("a", "somebody")}, []string{"create endpointslices web-*"}},
		"it has no selector":          {[]runtime.Object{service(func(s *corev1.Service) { s.Spec.Selector = nil }), slice("a", managedBy)}, nil},
		"it is a name elsewhere":      {[]runtime.Object{service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName })}, nil},
		"it is gone":                  {[]runtime.Object{slice("a", managedBy)}, nil},
	} {
		w := newWorld(t, tc.objects...)
		again, err := w.controller.reconcile(t.Context(), web)
		if got := w.Writes(); err != nil || again != 0 || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, again after %s, %v", name, got, again, err)
		}
	}
}

// TestEndpointsAreThePodsOfTheSelector.
func TestEndpointsAreThePodsOfTheSelector(t *testing.T) {
	w := newWorld(t, service(), pod("web"), pod("db"))
	if _, err := w.controller.reconcile(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	list, err := w.API.DiscoveryV1().EndpointSlices("d").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || len(list.Items[0].Endpoints) != 1 || list.Items[0].Endpoints[0].TargetRef.Name != "web" || list.Items[0].Labels[discoveryv1.LabelManagedBy] != managedBy {
		t.Errorf("%+v, %v", list.Items, err)
	}
}

// TestNothingIsDecidedFromAnOldCache: what was written is seen before anything more is.
func TestNothingIsDecidedFromAnOldCache(t *testing.T) {
	w := newWorld(t, service())
	w.controller.tracker.Update(slice("a", managedBy, func(s *discoveryv1.EndpointSlice) { s.Generation = 2 }))
	if _, err := w.controller.reconcile(t.Context(), web); !errors.Is(err, errStale) || len(w.Writes()) > 0 {
		t.Errorf("%v, %q", err, w.Writes())
	}
}

// TestWhatFailsIsTold.
func TestWhatFailsIsTold(t *testing.T) {
	w := newWorld(t, service())
	w.API.PrependReactor("create", "endpointslices", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no quorum") })
	if _, err := w.controller.reconcile(t.Context(), web); err == nil || !strings.Contains(err.Error(), "reconcile Service d/web: ") {
		t.Errorf("%v", err)
	}
}

// TestWhoseSlicesAreHealed: those of ours that somebody else has changed or deleted.
func TestWhoseSlicesAreHealed(t *testing.T) {
	nobody := func(s *discoveryv1.EndpointSlice) { delete(s.Labels, discoveryv1.LabelServiceName) }
	for name, tc := range map[string]struct {
		ours   *discoveryv1.EndpointSlice // as we have written it
		event  func(*Controller)
		queued bool
	}{
		"it is new":            {nil, func(r *Controller) { r.sliceChanged(slice("a", managedBy)) }, true},
		"it is as we wrote it": {slice("a", managedBy), func(r *Controller) { r.sliceChanged(slice("a", managedBy)) }, false},
		"somebody changed it": {slice("a", managedBy), func(r *Controller) {
			r.sliceChanged(slice("a", managedBy, func(s *discoveryv1.EndpointSlice) { s.Generation = 2 }))
		}, true},
		"it is somebody's":        {nil, func(r *Controller) { r.sliceChanged(slice("a", "somebody")) }, false},
		"it is of no Service":     {nil, func(r *Controller) { r.sliceChanged(slice("a", managedBy, nobody)) }, false},
		"somebody deleted it":     {slice("a", managedBy), func(r *Controller) { r.sliceDeleted(slice("a", managedBy)) }, true},
		"one that we do not know": {nil, func(r *Controller) { r.sliceDeleted(slice("a", managedBy)) }, false},
		"somebody's is deleted":   {slice("a", managedBy), func(r *Controller) { r.sliceDeleted(slice("a", "somebody")) }, false},
		"we have deleted it": {slice("a", managedBy), func(r *Controller) {
			r.tracker.ExpectDeletion(slice("a", managedBy))
			r.sliceDeleted(slice("a", managedBy))
		}, false},
	} {
		w := newWorld(t)
		if tc.ours != nil {
			w.controller.tracker.Update(tc.ours)
		}
		tc.event(w.controller)
		time.Sleep(3 * batch) // what is not to come has no event
		if got := slices.Equal(w.controller.loop.TakeQueued(), []types.NamespacedName{web}); got != tc.queued {
			t.Errorf("%s: queued %t", name, got)
		}
	}
}
