package persistentvolume

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// named is a claim of another name than c.
func named(name string, change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := claim(change...)
	c.Name, c.UID = name, "uid-of-"+c.UID
	return c
}

func ofClass(name *string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = name }
}

func asks(name string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = name }
}

// TestWhatAnEventQueues: the object itself, and those for which it makes a difference.
func TestWhatAnEventQueues(t *testing.T) {
	pod := func(node string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}, Spec: corev1.PodSpec{NodeName: node, Volumes: []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}},
			{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		}}}
	}
	elsewhere := of("", corev1.VolumeAvailable)
	objects := []runtime.Object{
		claim(), named("asks-v", asks("v")), named("of-d", ofClass(ptr.To("d"))), named("of-none", ofClass(nil)), named("of-d-asks-v", ofClass(ptr.To("d")), asks("v")), named("asks-w", asks("w")),
		volume("meant", "1Gi", elsewhere), volume("free", "1Gi"),
		volume("of-its-name", "1Gi", elsewhere, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Namespace = "m" }),
		volume("of-its-namespace", "1Gi", elsewhere, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Name = "other" }),
	}
	f := controllertest.New(objects...)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t, r.loop.Synced)
	for name, tt := range map[string]struct {
		event func()
		want  []string
	}{
		"a claim":                   {func() { r.claimSeen(claim()) }, []string{"n/c"}},
		"a claim that names one":    {func() { r.claimSeen(named("x", asks("free"))) }, []string{"/free", "n/x"}},
		"a claim goes":              {func() { r.claimGone(claim()) }, []string{"/meant"}},
		"a claim that had one goes": {func() { r.claimGone(claim(asks("free"))) }, []string{"/free", "/meant"}},
		"a free volume":             {func() { r.volumeSeen(volume("v", "1Gi")) }, []string{"/v", "n/asks-v", "n/c", "n/of-d-asks-v"}},
		"a volume of a claim":       {func() { r.volumeSeen(volume("v", "1Gi", of("claim-uid", corev1.VolumeBound))) }, []string{"/v", "n/asks-v", "n/c", "n/of-d-asks-v"}},
		"a volume of another": {func() {
			r.volumeSeen(volume("u", "1Gi", of("x", corev1.VolumeBound), func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Name = "x" }))
		}, []string{"/u", "n/x"}},
		"a class":                {func() { r.classSeen(class("d", "a.b/c", storagev1.VolumeBindingImmediate)) }, []string{"n/of-d", "n/of-none"}},
		"a pod without a node":   {func() { r.podSeen(pod("")) }, []string{"n/c"}},
		"a pod that has its own": {func() { r.podSeen(pod("n1")) }, nil},
	} {
		r.loop.TakeQueued()
		tt.event()
		var got []string
		for _, key := range r.loop.TakeQueued() {
			got = append(got, key.String())
		}
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: queued %q, want %q", name, got, tt.want)
		}
	}
}

// TestWhatABoundClaimShows: the size and the attributes of its volume when it is bound;
// afterwards they are written by who changes them.
func TestWhatABoundClaimShows(t *testing.T) {
	v := volume("v", "5Gi", func(v *corev1.PersistentVolume) { v.Spec.VolumeAttributesClassName = ptr.To("fast") })
	for name, tt := range map[string]struct {
		before           corev1.PersistentVolumeClaimPhase
		size, attributes string
		writes           int
	}{
		"at first":       {corev1.ClaimPending, "5Gi", "fast", 1},
		"when it stands": {corev1.ClaimBound, "1Gi", "slow", 0},
		"after its loss": {corev1.ClaimLost, "5Gi", "slow", 1},
	} {
		c := claim()
		c.Status = corev1.PersistentVolumeClaimStatus{
			Phase: tt.before, AccessModes: v.Spec.AccessModes, Capacity: corev1.ResourceList{"storage": resource.MustParse("1Gi")}, CurrentVolumeAttributesClassName: ptr.To("slow"),
		}
		f := controllertest.New(c)
		if err := (writer{f.API}).setClaimStatus(t.Context(), c, corev1.ClaimBound, v); err != nil {
			t.Fatal(err)
		}
		if got := f.Writes(); len(got) != tt.writes {
			t.Errorf("%s: writes %q", name, got)
		}
		got, err := f.API.CoreV1().PersistentVolumeClaims("n").Get(t.Context(), "c", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		size := got.Status.Capacity["storage"]
		if size.String() != tt.size || *got.Status.CurrentVolumeAttributesClassName != tt.attributes || got.Status.Phase != corev1.ClaimBound {
			t.Errorf("%s: %+v", name, got.Status)
		}
		if err := (writer{f.API}).setClaimStatus(t.Context(), got, corev1.ClaimLost, nil); err != nil {
			t.Fatal(err)
		}
		lost, err := f.API.CoreV1().PersistentVolumeClaims("n").Get(t.Context(), "c", metav1.GetOptions{})
		if err != nil || lost.Status.Phase != corev1.ClaimLost || lost.Status.Capacity != nil || lost.Status.AccessModes != nil || lost.Status.CurrentVolumeAttributesClassName != nil {
			t.Errorf("%s, then of no volume: %+v, %v", name, lost.Status, err)
		}
	}
}
