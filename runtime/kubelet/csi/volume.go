package csi

import (
	"fmt"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
)

// Mount is a volume of a pod that is to be mounted.
type Mount struct {
	Pod *corev1.Pod
	// Name is the volume's in the pod, Dir the directory of its record.
	Name, Dir string
	// Volume is what its claim is bound to, with Claim; else Inline is set.
	Volume *corev1.PersistentVolume
	Claim  *corev1.PersistentVolumeClaim
	Inline *corev1.CSIVolumeSource
	// ReadOnly: the pod must not write it.
	ReadOnly bool
	// Group owns the content; negative: nobody asked for that.
	Group int
	// Changed is called when a mount that was pending can go on.
	Changed func()
}

// group is what a driver is asked to give a volume to, nil where that is not for it to do.
func (m Mount) group(c capabilities) *int64 {
	if m.Group < 0 || !c.groups() {
		return nil
	}
	return ptr.To(int64(m.Group))
}

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

// capability is what a volume is asked for as.
func (v volume) capability(c capabilities, group *int64) *spec.VolumeCapability {
	mode := corev1.ReadWriteOnce
	if len(v.modes) > 0 {
		mode = v.modes[0]
	}
	out := &spec.VolumeCapability{AccessMode: &spec.VolumeCapability_AccessMode{Mode: accessMode(mode, c)}}
	if v.block {
		out.AccessType = &spec.VolumeCapability_Block{Block: &spec.VolumeCapability_BlockVolume{}}
		return out
	}
	mount := &spec.VolumeCapability_MountVolume{FsType: v.fsType, MountFlags: v.options}
	if group != nil {
		mount.VolumeMountGroup = fmt.Sprint(*group)
	}
	out.AccessType = &spec.VolumeCapability_Mount{Mount: mount}
	return out
}

// accessMode is a mode in the words of CSI. Before drivers could say that they tell one pod
// from several, those of one node were one mode.
func accessMode(m corev1.PersistentVolumeAccessMode, c capabilities) spec.VolumeCapability_AccessMode_Mode {
	switch m {
	case corev1.ReadOnlyMany:
		return spec.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
	case corev1.ReadWriteMany:
		return spec.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
	case corev1.ReadWriteOnce:
		if c.singleNodeMultiWriter() {
			return spec.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER
		}
		return spec.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
	case corev1.ReadWriteOncePod:
		if c.singleNodeMultiWriter() {
			return spec.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
		}
		return spec.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
	}
	return spec.VolumeCapability_AccessMode_UNKNOWN
}

// call is one mount with all that is asked for once.
type call struct {
	Mount
	volume
	of      driver
	object  *storagev1.CSIDriver // nil: the cluster was not told of the driver
	can     capabilities
	context map[string]string // of the attachment
}
