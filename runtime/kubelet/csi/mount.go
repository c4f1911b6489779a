package csi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

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

// Mount stages and publishes a volume. What is mounted already stays as it is, whatever
// became of the objects and of the driver. An error that says Pending is no failure yet.
func (v *Volumes) Mount(ctx context.Context, m Mount) error {
	if _, ok := v.Mounted(m.Dir); ok {
		return nil
	}
	c, err := v.prepare(ctx, m)
	if err != nil {
		return err
	}
	defer v.locks.lock(c.key())()
	if err := v.alone(c); err != nil {
		return err
	}
	v.mu.Lock()
	r, again := v.published[m.Dir]
	v.mu.Unlock()
	if again && r.key() != c.key() {
		return fmt.Errorf("volume %s of driver %s was mounted before, and has to be unmounted", r.Handle, r.Driver)
	}
	r = publishRecord{
		Driver: c.driver, Handle: c.handle, Volume: c.name, Target: v.paths.target(string(m.Pod.UID), c.name, c.block),
		Attach: c.persistent != nil && attachRequired(c.object), Block: c.block, ReadOnly: m.ReadOnly, Called: r.Called,
	}
	if err := v.setPublished(m.Dir, r); err != nil {
		return err
	}
	v.stopWaiting(m.Dir)
	staging, err := v.stage(ctx, c)
	if err != nil {
		return err
	}
	if err := v.publish(ctx, c, r, staging); err != nil {
		return err
	}
	return v.expand(ctx, c, staging, r.Target)
}

// prepare reads what a mount needs, and sees to it that the volume is attached.
func (v *Volumes) prepare(ctx context.Context, m Mount) (call, error) {
	c := call{Mount: m, volume: m.volume()}
	var err error
	if c.of, err = v.drivers.get(c.driver); err != nil {
		return c, err
	}
	if c.object, err = (objects{api: v.cfg.API}).driver(ctx, c.driver); err != nil {
		return c, err
	}
	if err := supportsLifecycle(c.object, c.driver, c.lifecycle); err != nil {
		return c, err
	}
	if c.persistent != nil && attachRequired(c.object) {
		if c.context, err = v.attached(ctx, c); err != nil {
			return c, err
		}
	}
	c.can, err = c.of.capabilities(ctx)
	return c, err
}

// alone says whether a volume of one pod has another one.
func (v *Volumes) alone(c call) error {
	if !slices.Contains(c.modes, corev1.ReadWriteOncePod) {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, dir := range v.users(c.key()) {
		if dir != c.Dir {
			return errors.New("volume uses the ReadWriteOncePod access mode and is already in use by another pod")
		}
	}
	return nil
}

// stage has a volume staged for all pods, if its driver does that, and returns where.
func (v *Volumes) stage(ctx context.Context, c call) (path string, err error) {
	if c.persistent == nil || !c.can.stages() {
		return "", nil
	}
	secrets, err := v.secrets(ctx, "NodeStageSecretRef", c.persistent.NodeStageSecretRef)
	if err != nil {
		return "", err
	}
	v.mu.Lock()
	r, again := v.staged[c.key()]
	v.mu.Unlock()
	if !again {
		r = stageRecord{
			Driver: c.driver, Handle: c.handle, Staging: v.paths.staging(c.driver, c.handle, c.name, c.block), Attach: attachRequired(c.object), Block: c.block,
		}
		if err := v.setStaged(r); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(r.Staging, 0o750); err != nil {
		return "", fmt.Errorf("make the directory for staging: %w", err)
	}
	// Again, too: the server may have been started anew, and a driver knows what it has done.
	err = c.of.call(ctx, func(ctx context.Context, node spec.NodeClient) error {
		_, err := node.NodeStageVolume(ctx, &spec.NodeStageVolumeRequest{
			VolumeId: c.handle, PublishContext: c.context, StagingTargetPath: r.Staging, VolumeCapability: c.capability(c.can, c.group(c.can)),
			Secrets: secrets, VolumeContext: c.attributes,
		})
		return err
	})
	switch {
	case err == nil:
		return r.Staging, nil
	case isFinal(err) && !again: // nothing is to be undone
		err = errors.Join(err, v.forgetStaged(r))
	}
	return "", fmt.Errorf("MountVolume.MountDevice failed for volume %q : %w", c.name, err)
}

// publish has a volume published to the pod.
func (v *Volumes) publish(ctx context.Context, c call, r publishRecord, staging string) error {
	req, err := v.publishRequest(ctx, c, r, staging)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.Target), 0o750); err != nil {
		return fmt.Errorf("make the directory of the volume: %w", err)
	}
	before := r.Called
	r.Called = true
	if err := v.setPublished(c.Dir, r); err != nil {
		return err
	}
	err = c.of.call(ctx, func(ctx context.Context, node spec.NodeClient) error {
		_, err := node.NodePublishVolume(ctx, req)
		return err
	})
	if err != nil {
		if isFinal(err) && !before && !v.mounted(r) { // nothing is to be undone
			r.Called = false
			return errors.Join(err, v.setPublished(c.Dir, r))
		}
		return err
	}
	if err := v.own(c, r); err != nil {
		return fmt.Errorf("applyFSGroup failed for vol %s: %w", c.handle, err)
	}
	r.Published = true
	return v.setPublished(c.Dir, r)
}

// own gives the content to the pod's group, where that is ours to do.
func (v *Volumes) own(c call, r publishRecord) error {
	if c.Group < 0 || c.block || c.ReadOnly || c.can.groups() {
		return nil
	}
	policy := storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy
	if c.object != nil {
		policy = ptr.Deref(c.object.Spec.FSGroupPolicy, policy)
	}
	switch policy {
	case storagev1.NoneFSGroupPolicy:
		return nil
	case storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy:
		if c.fsType == "" || !slices.Contains(c.modes, corev1.ReadWriteOnce) && !slices.Contains(c.modes, corev1.ReadWriteOncePod) {
			return nil
		}
	}
	f, err := os.OpenFile(r.Target, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	change := corev1.FSGroupChangeAlways
	if sc := c.Pod.Spec.SecurityContext; sc != nil {
		change = ptr.Deref(sc.FSGroupChangePolicy, change)
	}
	return v.cfg.SetGroup(f, c.Group, change)
}
