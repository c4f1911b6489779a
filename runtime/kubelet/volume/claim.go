package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/csi"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Claims are the objects behind claims.
type Claims interface {
	Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
	PersistentVolume(ctx context.Context, name string) (*corev1.PersistentVolume, error)
}

// LocalVolumes are the directories of this server that the cluster provisions.
type LocalVolumes interface {
	Provisioned(v *corev1.PersistentVolume) bool
	// Open opens the directory of one, as a place only, and makes it for its first pod.
	Open(ctx context.Context, v *corev1.PersistentVolume) (*os.File, error)
}

// Binder binds what was opened at a path.
type Binder interface {
	Bind(f *os.File, at string, recursive bool) error
}

// ClaimConfig is what volumes of claims are made of.
type ClaimConfig struct {
	Layout poddir.Layout
	Mounts Mounts
	Binder Binder
	Claims Claims
	Local  LocalVolumes
	// Drivers have the volumes that are neither.
	Drivers Drivers
	// Node is the node, by the labels of which volumes say where they can be.
	Node func(ctx context.Context) (*corev1.Node, error)
}

// claim is a PersistentVolume of type local or hostPath, by its claim. It is bound at the
// volume's directory, so the disk says which are in use; taking it away unmounts it, and
// deletes nothing in it.
type claim struct {
	directory
	ClaimConfig
	// alone lets one pod at a time look whether it is the only one.
	alone *sync.Mutex
}

// claimDir is the directory of such volumes below a pod's.
const claimDir = "claim"

// NewClaim returns the plugin of claims and of generic ephemeral volumes.
func NewClaim(c ClaimConfig) Plugin {
	return claim{directory{c.Mounts}, c, &sync.Mutex{}}
}

func (claim) Name() string   { return claimDir }
func (claim) Traits() Traits { return Traits{} }

func (claim) Supports(v *corev1.Volume) bool {
	return v.PersistentVolumeClaim != nil || v.Ephemeral != nil
}

func (c claim) SetUp(ctx context.Context, m Mounting) error {
	points, err := c.Mounts.Below(m.Dir)
	if err != nil || len(points) > 0 {
		return err // what is mounted stays, whatever becomes of the objects
	}
	if _, ok := c.Drivers.Mounted(beside(m.Dir)); ok {
		return nil
	}
	v, pvc, err := c.resolve(ctx, m.Pod, m.Volume)
	if err != nil {
		return err
	}
	if v.Spec.CSI != nil {
		return c.Drivers.Mount(ctx, c.driverMount(m, v, pvc))
	}
	source, err := c.open(ctx, v)
	if err != nil {
		return err
	}
	defer source.Close()
	c.alone.Lock()
	defer c.alone.Unlock()
	if slices.Contains(v.Spec.AccessModes, corev1.ReadWriteOncePod) {
		users, err := Users(c.Layout, source)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(users, func(uid string) bool { return uid != string(m.Pod.UID) }) {
			return errors.New("volume uses the ReadWriteOncePod access mode and is already in use by another pod")
		}
	}
	if m.Group >= 0 && v.Spec.Local != nil && !isBlock(v) && !readOnlyClaim(m.Volume) {
		policy := corev1.FSGroupChangeAlways
		if sc := m.Pod.Spec.SecurityContext; sc != nil {
			policy = ptr.Deref(sc.FSGroupChangePolicy, policy)
		}
		if err := SetGroup(source, m.Group, policy); err != nil {
			return fmt.Errorf("applyFSGroup failed for vol %s: %w", v.Name, err)
		}
	}
	return c.Binder.Bind(source, m.Dir, v.Spec.HostPath != nil)
}

func (c claim) driverMount(m Mounting, v *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) csi.Mount {
	return csi.Mount{
		Pod: m.Pod, Name: m.Volume.Name, Dir: beside(m.Dir), Volume: v, Claim: pvc, ReadOnly: readOnlyClaim(m.Volume), Group: m.Group, Changed: m.Changed,
	}
}

// Refreshes implements refresher: drivers may want to be told again, and their volumes grow.
func (c claim) Refreshes(dir string) bool { return c.Drivers.Known(beside(dir)) }

// Refresh implements refresher.
func (c claim) Refresh(ctx context.Context, m Mounting) error {
	v, pvc, err := c.resolve(ctx, m.Pod, m.Volume)
	if err != nil {
		return err
	}
	if v.Spec.CSI == nil {
		return nil
	}
	return c.Drivers.Refresh(ctx, c.driverMount(m, v, pvc))
}

// Open implements Plugin. A hostPath may be no directory.
func (c claim) Open(v *corev1.Volume, dir string) (container.Volume, error) {
	if c.Drivers.Known(beside(dir)) {
		return openMounted(c.Drivers, v.Name, beside(dir))
	}
	root, err := openPlace(dir, unix.O_NOFOLLOW)
	return container.Volume{Root: root, Path: dir, ReadOnly: readOnlyClaim(v)}, err
}

func readOnlyClaim(v *corev1.Volume) bool {
	return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ReadOnly
}

// resolve is the volume that a pod's claim is bound to. Both must say so.
func (c claim) resolve(ctx context.Context, p *corev1.Pod, v *corev1.Volume) (*corev1.PersistentVolume, *corev1.PersistentVolumeClaim, error) {
	name, _ := pod.ClaimName(p, v)
	failed := func(format string, args ...any) (*corev1.PersistentVolume, *corev1.PersistentVolumeClaim, error) {
		return nil, nil, fmt.Errorf("error processing PVC %s/%s: %w", p.Namespace, name, fmt.Errorf(format, args...))
	}
	pvc, err := c.Claims.Claim(ctx, p.Namespace, name)
	if err != nil {
		return failed("failed to fetch PVC from API server: %w", err)
	}
	if v.Ephemeral != nil {
		if err := ephemeral.VolumeIsForPod(p, pvc); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case pvc.DeletionTimestamp != nil:
		return failed("can't start pod because PVC is being deleted")
	case pvc.Status.Phase != corev1.ClaimBound || pvc.Spec.VolumeName == "":
		return failed("PVC is not bound")
	}
	pv, err := c.Claims.PersistentVolume(ctx, pvc.Spec.VolumeName)
	switch {
	case err != nil:
		return failed("failed to fetch PV %s from API server: %w", pvc.Spec.VolumeName, err)
	case pv.Spec.ClaimRef == nil:
		return failed("found PV object %s with nil pv.Spec.ClaimRef indicating it is not yet bound to the claim", pv.Name)
	case pv.Spec.ClaimRef.UID != pvc.UID:
		return failed("found PV object %s with a pv.Spec.ClaimRef.UID %s that does not match expected %s", pv.Name, pv.Spec.ClaimRef.UID, pvc.UID)
	case isBlock(pv) && pv.Spec.CSI == nil && pv.Spec.Local == nil:
		return failed("PV %s has volumeMode Block, which volumes of its type do not have", pv.Name)
	case isBlock(pv) && uses(p, mountNames, v.Name):
		return failed("volume %s has volumeMode Block, but is specified in volumeMounts", v.Name)
	case !isBlock(pv) && uses(p, deviceNames, v.Name):
		return failed("volume %s has volumeMode Filesystem, but is specified in volumeDevices", v.Name)
	case len(pv.Spec.MountOptions) > 0 && pv.Spec.CSI == nil:
		return failed("PV %s has mountOptions: a directory of the server is mounted as it is", pv.Name)
	}
	n, err := c.Node(ctx)
	if err != nil {
		return failed("failed to fetch the node: %w", err)
	}
	if err := volumehelpers.CheckNodeAffinity(pv, n.Labels); err != nil {
		return nil, nil, fmt.Errorf("MountVolume.NodeAffinity check failed for volume %q: %w", pv.Name, err)
	}
	return pv, pvc, nil
}
