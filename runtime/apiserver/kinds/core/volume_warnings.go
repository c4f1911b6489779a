package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

const notYet = "not supported by this cluster yet: "

// volumeWarnings tells of what upstream tells of, and of volumes that no node mounts:
// another's driver may yet come to.
func volumeWarnings(v *corev1.PersistentVolume) []string {
	s, spec := &v.Spec, field.NewPath("spec")
	var out []string
	for _, old := range [][2]string{
		{corev1.BetaStorageClassAnnotation, `deprecated since v1.8; use "storageClassName" attribute instead`},
		{"volume.beta.kubernetes.io/mount-options", `deprecated since v1.31; use "mountOptions" attribute instead`},
	} {
		if _, ok := v.Annotations[old[0]]; ok {
			out = append(out, fmt.Sprintf("%s: %s", field.NewPath("metadata", "annotations").Key(old[0]), old[1]))
		}
	}
	if s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		out = append(out, spec.Child("persistentVolumeReclaimPolicy").String()+": The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.")
	}
	if s.Local == nil && s.HostPath == nil && s.CSI == nil {
		out = append(out, notYet+"its nodes mount PersistentVolumes of types local, hostPath and csi")
	}
	if len(s.MountOptions) > 0 && s.CSI == nil {
		out = append(out, spec.Child("mountOptions").String()+": "+notYet+"a directory of a server is mounted as it is")
	}
	return out
}

// claimWarnings tells of what upstream tells of, and of what no provisioner of the
// cluster's own does.
func claimWarnings(c *corev1.PersistentVolumeClaim) []string {
	s, spec := &c.Spec, field.NewPath("spec")
	var out []string
	if _, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		out = append(out, field.NewPath("metadata", "annotations").Key(corev1.BetaStorageClassAnnotation).String()+`: deprecated since v1.8; use "storageClassName" attribute instead`)
	}
	out = append(out, ClaimSizeWarnings(s, spec)...)
	if ptr.Deref(s.VolumeAttributesClassName, "") != "" {
		out = append(out, spec.Child("volumeAttributesClassName").String()+": "+notYet+"nothing modifies volumes by VolumeAttributesClasses")
	}
	return out
}

// ClaimSizeWarnings tell of storage in parts of bytes.
func ClaimSizeWarnings(s *corev1.PersistentVolumeClaimSpec, spec *field.Path) []string {
	var out []string
	for _, r := range []struct {
		name string
		of   corev1.ResourceList
	}{{"requests", s.Resources.Requests}, {"limits", s.Resources.Limits}} {
		if q := r.of[corev1.ResourceStorage]; q.MilliValue()%1000 != 0 {
			out = append(out, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer", spec.Child("resources", r.name).Key("storage"), q.String()))
		}
	}
	return out
}
