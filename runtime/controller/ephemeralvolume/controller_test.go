package ephemeralvolume

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestClaimsOfEphemeralVolumes(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: "u"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{
			{Name: "other"}, {Name: "v", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}},
				Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: ptr.To("s")},
			}}}},
		}}}
		if change != nil {
			change(p)
		}
		return p
	}
	own := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p-v", OwnerReferences: []metav1.OwnerReference{{UID: "u", Controller: ptr.To(true)}}}}
	foreign := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p-v"}}
	for name, tt := range map[string]struct {
		there       []runtime.Object
		made, fails bool
	}{
		"is made":            {[]runtime.Object{pod(nil)}, true, false},
		"is there":           {[]runtime.Object{pod(nil), own}, false, false},
		"is somebody else's": {[]runtime.Object{pod(nil), foreign}, false, true},
		"pod is going":       {[]runtime.Object{pod(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: controllertest.Start} })}, false, false},
		"pod is gone":        {nil, false, false},
	} {
		f := controllertest.New(tt.there...)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		_, err = r.reconcile(t.Context(), types.NamespacedName{Namespace: "n", Name: "p"})
		made := len(f.Writes()) == 1 && f.Writes()[0] == "create persistentvolumeclaims p-v"
		told := strings.Join(f.Told(), "\n")
		if made != tt.made || (err != nil) != tt.fails || strings.Contains(told, "FailedBinding ephemeral volume v: ") != tt.fails {
			t.Errorf("%s: %v, %v, told %q", name, f.Writes(), err, told)
		}
		if !made {
			continue
		}
		c, err := f.API.CoreV1().PersistentVolumeClaims("n").Get(t.Context(), "p-v", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		o := metav1.GetControllerOf(c)
		if o == nil || o.UID != "u" || o.Kind != "Pod" || !ptr.Deref(o.BlockOwnerDeletion, false) || c.Labels["a"] != "b" || c.Annotations["c"] != "d" || *c.Spec.StorageClassName != "s" {
			t.Errorf("made is %+v", c)
		}
	}
}
