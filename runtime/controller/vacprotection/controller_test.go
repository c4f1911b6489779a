package vacprotection

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestAClassStaysWhileItIsNamed(t *testing.T) {
	claim := func(spec corev1.PersistentVolumeClaimSpec, status corev1.PersistentVolumeClaimStatus) runtime.Object {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "c"}, Spec: spec, Status: status}
	}
	volume := func(class string) runtime.Object {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}, Spec: corev1.PersistentVolumeSpec{VolumeAttributesClassName: &class}}
	}
	for name, tt := range map[string]struct {
		going            bool
		other            runtime.Object
		finalizers, want []string
	}{
		"wanted":            {true, claim(corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: ptr.To("fast")}, corev1.PersistentVolumeClaimStatus{}), []string{Finalizer}, []string{Finalizer}},
		"had":               {true, claim(corev1.PersistentVolumeClaimSpec{}, corev1.PersistentVolumeClaimStatus{CurrentVolumeAttributesClassName: ptr.To("fast")}), []string{Finalizer}, []string{Finalizer}},
		"on the way":        {true, claim(corev1.PersistentVolumeClaimSpec{}, corev1.PersistentVolumeClaimStatus{ModifyVolumeStatus: &corev1.ModifyVolumeStatus{TargetVolumeAttributesClassName: "fast"}}), []string{Finalizer}, []string{Finalizer}},
		"of a volume":       {true, volume("fast"), []string{Finalizer}, []string{Finalizer}},
		"others are named":  {true, claim(corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: ptr.To("slow")}, corev1.PersistentVolumeClaimStatus{}), []string{"a/b", Finalizer}, []string{"a/b"}},
		"another's volume":  {true, volume("slow"), []string{Finalizer}, nil},
		"others' to keep":   {true, volume("slow"), []string{"a/b"}, []string{"a/b"}},
		"made before":       {false, volume("slow"), nil, []string{Finalizer}},
		"named by none yet": {false, volume("slow"), []string{Finalizer}, []string{Finalizer}},
	} {
		c := &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: "fast", Finalizers: tt.finalizers}}
		if tt.going {
			c.DeletionTimestamp = &metav1.Time{Time: controllertest.Start}
		}
		f := controllertest.New(c, tt.other)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Name: "fast"}); err != nil {
			t.Fatal(err)
		}
		got, err := f.API.StorageV1().VolumeAttributesClasses().Get(t.Context(), "fast", metav1.GetOptions{})
		if err != nil || !slices.Equal(got.Finalizers, tt.want) {
			t.Errorf("%s: %v, %v", name, got.Finalizers, err)
		}
	}
}
