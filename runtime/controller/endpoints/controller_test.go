package endpoints

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func leftover(name string, annotations map[string]string) *corev1.Endpoints {
	return &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "d", UID: types.UID(name), Annotations: annotations}}
}

func TestReconcile(t *testing.T) {
	current := plan(testService(), []*corev1.Pod{testPod("a", "10.1.0.1", true)}, nil, controllertest.Start)
	stranger := testPod("s", "10.1.0.3", true, func(p *corev1.Pod) { p.Labels = nil })
	for what, tt := range map[string]struct {
		objects []runtime.Object
		want    []string
	}{
		"made":                {[]runtime.Object{testService(), testPod("a", "10.1.0.1", true), stranger}, []string{"create endpoints web"}},
		"made for nobody":     {[]runtime.Object{testService()}, []string{"create endpoints web"}},
		"changed":             {[]runtime.Object{testService(), testPod("a", "10.1.0.2", true), current}, []string{"update endpoints web"}},
		"as it is":            {[]runtime.Object{testService(), testPod("a", "10.1.0.1", true), stranger, current}, nil},
		"its Service is gone": {[]runtime.Object{current}, []string{"delete endpoints web"}},
		"there is neither":    {nil, nil},
		"no selector":         {[]runtime.Object{testService(func(s *corev1.Service) { s.Spec.Selector = nil }), current}, nil},
		"a name elsewhere":    {[]runtime.Object{testService(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }), current}, nil},
	} {
		f := controllertest.New(tt.objects...)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "web"}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := f.Writes(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", what, got, tt.want)
		}
	}
}

// TestNothingIsDecidedFromAnOldCache: after a write, the object must be seen before the
// next.
func TestNothingIsDecidedFromAnOldCache(t *testing.T) {
	current := leftover("web", nil)
	current.ResourceVersion = "7"
	f := controllertest.New(testService(), current)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	written := current.DeepCopy()
	written.ResourceVersion = "8"
	r.written.Wrote(written)
	if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "web"}); err == nil || len(f.Writes()) != 0 {
		t.Errorf("%v, %q", err, f.Writes())
	}
}

func TestLeftovers(t *testing.T) {
	f := controllertest.New(leftover("old", nil), leftover("lock", map[string]string{resourcelock.LeaderElectionRecordAnnotationKey: "{}"}))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if got, err := r.leftovers(); err != nil || !slices.Equal(got, []types.NamespacedName{{Namespace: "d", Name: "old"}}) {
		t.Errorf("%v, %v", got, err)
	}
}
