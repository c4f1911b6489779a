package rootca

import (
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func namespace(phase corev1.NamespacePhase) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "d"}, Status: corev1.NamespaceStatus{Phase: phase}}
}

func published(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "d", Labels: map[string]string{"kept": "x"}}, Data: data}
}

// TestTheCertificateIsPublished: in each namespace that does not end; what somebody made of
// it is made good.
func TestTheCertificateIsPublished(t *testing.T) {
	active := namespace(corev1.NamespaceActive)
	ending := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, name, errors.New("it ends"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	create, update := []string{"create configmaps " + name}, []string{"update configmaps " + name}
	for what, tc := range map[string]struct {
		objects []runtime.Object
		refused error
		writes  []string
		fails   bool
	}{
		"not yet":                  {objects: []runtime.Object{active, published("another", nil)}, writes: create},
		"it is":                    {objects: []runtime.Object{active, published(name, map[string]string{key: "PEM"})}},
		"another certificate":      {objects: []runtime.Object{active, published(name, map[string]string{key: "other"})}, writes: update},
		"something beside it":      {objects: []runtime.Object{active, published(name, map[string]string{key: "PEM", "b": ""})}, writes: update},
		"nothing in it":            {objects: []runtime.Object{active, published(name, nil)}, writes: update},
		"the namespace ends":       {objects: []runtime.Object{namespace(corev1.NamespaceTerminating)}},
		"the namespace is gone":    {},
		"somebody was faster":      {objects: []runtime.Object{active}, writes: create, refused: apierrors.NewAlreadyExists(schema.GroupResource{}, name)},
		"it has just begun to end": {objects: []runtime.Object{active}, writes: create, refused: ending},
		"it is not made":           {objects: []runtime.Object{active}, writes: create, refused: errors.New("no quorum"), fails: true},
		"it is not made good":      {objects: []runtime.Object{active, published(name, nil)}, writes: update, refused: errors.New("no quorum"), fails: true},
	} {
		f := controllertest.New(tc.objects...)
		f.Deps.RootCA = []byte("PEM")
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if tc.refused != nil {
			f.API.PrependReactor("*", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.refused })
		}
		again, err := r.reconcile(t.Context(), "d")
		if got := f.Writes(); !slices.Equal(got, tc.writes) || (err != nil) != tc.fails || again != 0 {
			t.Errorf("%s: %q, again after %s, %v", what, got, again, err)
		}
		if tc.refused != nil || len(tc.writes) == 0 {
			continue
		}
		m, err := f.API.CoreV1().ConfigMaps("d").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || len(m.Data) != 1 || m.Data[key] != "PEM" || (len(tc.writes) == 1 && tc.writes[0] == update[0]) != (m.Labels["kept"] == "x") {
			t.Errorf("%s: %v, %v", what, m, err)
		}
	}
}

// TestWhoseChangeIsLookedAt: that of the published ConfigMap, and of no other.
func TestWhoseChangeIsLookedAt(t *testing.T) {
	f := controllertest.New()
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*corev1.ConfigMap{published("another", nil), published(name, nil)} {
		r.changed(m)
		if got := len(r.loop.TakeQueued()) == 1; got != (m.Name == name) {
			t.Errorf("%s: looked after %t", m.Name, got)
		}
	}
}
