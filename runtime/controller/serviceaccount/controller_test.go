package serviceaccount

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

func account(namespace, name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
}

// TestWhichNamespacesGetTheAccount: those that are there, do not end, and do not have it.
// Whoever else makes it meanwhile, and a namespace that has begun to end, is no failure.
func TestWhichNamespacesGetTheAccount(t *testing.T) {
	ending := apierrors.NewForbidden(schema.GroupResource{Resource: "serviceaccounts"}, name, errors.New("it ends"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for what, tc := range map[string]struct {
		objects []runtime.Object
		refused error
		made    bool
		fails   bool
	}{
		"without an account":        {objects: []runtime.Object{namespace(corev1.NamespaceActive)}, made: true},
		"with another":              {objects: []runtime.Object{namespace(corev1.NamespaceActive), account("d", "a")}, made: true},
		"with that of another":      {objects: []runtime.Object{namespace(""), account("e", name)}, made: true},
		"with it":                   {objects: []runtime.Object{namespace(corev1.NamespaceActive), account("d", name)}},
		"one that ends":             {objects: []runtime.Object{namespace(corev1.NamespaceTerminating)}},
		"one that is gone":          {},
		"somebody was faster":       {objects: []runtime.Object{namespace("")}, made: true, refused: apierrors.NewAlreadyExists(schema.GroupResource{}, name)},
		"it has just begun to end":  {objects: []runtime.Object{namespace("")}, made: true, refused: ending},
		"the server does not do it": {objects: []runtime.Object{namespace("")}, made: true, refused: errors.New("no quorum"), fails: true},
	} {
		f := controllertest.New(tc.objects...)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if tc.refused != nil {
			f.API.PrependReactor("create", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.refused })
		}
		again, err := r.reconcile(t.Context(), "d")
		if got := slices.Equal(f.Writes(), []string{"create serviceaccounts default"}); got != tc.made || (err != nil) != tc.fails || again != 0 {
			t.Errorf("%s: made %t, again after %s, %v", what, got, again, err)
		}
	}
}

// TestWhoseEndIsLookedAt: that of the account which each namespace has, and of no other.
func TestWhoseEndIsLookedAt(t *testing.T) {
	f := controllertest.New()
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*corev1.ServiceAccount{account("d", "another"), account("d", name)} {
		r.deleted(a)
		if got := len(r.loop.TakeQueued()) == 1; got != (a.Name == name) {
			t.Errorf("%s: looked after %t", a.Name, got)
		}
	}
}
