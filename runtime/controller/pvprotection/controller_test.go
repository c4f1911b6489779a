package pvprotection

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestAVolumeStaysWhileItIsBound(t *testing.T) {
	for name, tt := range map[string]struct {
		going      bool
		phase      corev1.PersistentVolumePhase
		finalizers []string
		want       []string
		wrote      bool
	}{
		"bound":           {true, corev1.VolumeBound, []string{Finalizer}, []string{Finalizer}, false},
		"released":        {true, corev1.VolumeReleased, []string{"a/b", Finalizer}, []string{"a/b"}, true},
		"free":            {true, corev1.VolumeAvailable, []string{Finalizer, "a/b"}, []string{"a/b"}, true},
		"others' to keep": {true, corev1.VolumeReleased, []string{"a/b"}, []string{"a/b"}, false},
		"made earlier":    {false, corev1.VolumeAvailable, nil, []string{Finalizer}, true},
		"protected":       {false, corev1.VolumeBound, []string{Finalizer}, []string{Finalizer}, false},
	} {
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v", Finalizers: tt.finalizers}, Status: corev1.PersistentVolumeStatus{Phase: tt.phase}}
		if tt.going {
			v.DeletionTimestamp = &metav1.Time{Time: controllertest.Start}
		}
		f := controllertest.New(v)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Name: "v"}); err != nil {
			t.Fatal(err)
		}
		wrote := len(f.Writes()) > 0
		got, err := f.API.CoreV1().PersistentVolumes().Get(t.Context(), "v", metav1.GetOptions{})
		if err != nil || !slices.Equal(got.Finalizers, tt.want) || wrote != tt.wrote {
			t.Errorf("%s: %v, written %v, %v", name, got.Finalizers, wrote, err)
		}
	}
}
