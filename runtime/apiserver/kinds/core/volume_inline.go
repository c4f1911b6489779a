package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateInlineVolume checks a volume that is written into what attaches it, with no claim and
// no object of its own: a CSI driver has it.
func ValidateInlineVolume(s *corev1.PersistentVolumeSpec, path *field.Path) field.ErrorList {
	const here = " in the context of inline volumes"
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"claimRef", s.ClaimRef != nil},
		{"capacity", len(s.Capacity) > 0},
		{"nodeAffinity", s.NodeAffinity != nil},
		{"storageClassName", s.StorageClassName != ""},
	} {
		if f.set {
			errs = append(errs, field.Forbidden(path.Child(f.name), "may not be specified"+here))
		}
	}
	if s.CSI == nil {
		errs = append(errs, field.Required(path.Child("csi"), "has to be specified"+here))
	}
	if p := s.PersistentVolumeReclaimPolicy; p != "" && p != corev1.PersistentVolumeReclaimRetain {
		errs = append(errs, field.Forbidden(path.Child("persistentVolumeReclaimPolicy"), "may only be Retain"+here))
	}
	if m := s.VolumeMode; m != nil && *m != corev1.PersistentVolumeFilesystem {
		errs = append(errs, field.Forbidden(path.Child("volumeMode"), "may not specify volumeMode other than Filesystem"+here))
	}
	errs = append(errs, accessModes(s.AccessModes, path.Child("accessModes"))...)
	return append(errs, validatePersistentSource(&corev1.PersistentVolume{Spec: *s}, path)...)
}
