package csi

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
)

// volume is what a mount is about, of either kind.
type volume struct {
	driver, handle string
	name           string // of the PersistentVolume, or in the pod
	fsType         string
	attributes     map[string]string
	options        []string
	modes          []corev1.PersistentVolumeAccessMode
	block          bool
	publishSecret  *corev1.SecretReference
	lifecycle      storagev1.VolumeLifecycleMode
	persistent     *corev1.CSIPersistentVolumeSource // nil: ephemeral
}

func (v volume) key() key { return keyOf(v.driver, v.handle) }

func (m Mount) volume() volume {
	if s := m.Inline; s != nil {
		v := volume{
			driver: s.Driver, handle: ephemeralHandle(string(m.Pod.UID), m.Name), name: m.Name, fsType: ptr.Deref(s.FSType, ""), attributes: s.VolumeAttributes,
			modes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, lifecycle: storagev1.VolumeLifecycleEphemeral,
		}
		if s.NodePublishSecretRef != nil {
			v.publishSecret = &corev1.SecretReference{Namespace: m.Pod.Namespace, Name: s.NodePublishSecretRef.Name}
		}
		return v
	}
	s := m.Volume.Spec.CSI
	return volume{
		driver: s.Driver, handle: s.VolumeHandle, name: m.Volume.Name, fsType: s.FSType, attributes: s.VolumeAttributes,
		options: m.Volume.Spec.MountOptions, modes: m.Volume.Spec.AccessModes,
		block:         ptr.Deref(m.Volume.Spec.VolumeMode, corev1.PersistentVolumeFilesystem) == corev1.PersistentVolumeBlock,
		publishSecret: s.NodePublishSecretRef, lifecycle: storagev1.VolumeLifecyclePersistent, persistent: s,
	}
}
