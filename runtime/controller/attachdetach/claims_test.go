package attachdetach

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestTheVolumeOfAClaim: the one of a driver that is bound to this claim, and to no other of
// its name.
func TestTheVolumeOfAClaim(t *testing.T) {
	named := func(name string, change func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
		return volume(func(v *corev1.PersistentVolume) { v.Name = name; change(v) })
	}
	c := start(t, volume(), named("local", func(v *corev1.PersistentVolume) { v.Spec.CSI = nil }), named("free", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }))
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		found  bool
	}{
		"its own":                 {func(*corev1.PersistentVolumeClaim) {}, true},
		"none yet":                {func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "" }, false},
		"one that is gone":        {func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "gone" }, false},
		"one of no driver":        {func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "local" }, false},
		"one that is not bound":   {func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "free" }, false},
		"that of one of its name": {func(c *corev1.PersistentVolumeClaim) { c.UID = "another" }, false},
	} {
		of := claim()
		tc.change(of)
		if v := c.volumeOf(of); (v != nil) != tc.found {
			t.Errorf("%s: %v", name, v)
		}
	}
	var volumes int
	c.eachVolume(func(v *corev1.PersistentVolume) {
		volumes++
		if v.Spec.CSI == nil {
			t.Errorf("%s has no driver", v.Name)
		}
	})
	if volumes != 2 {
		t.Errorf("of drivers are %d", volumes)
	}
}
