package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
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
	v, err := c.resolve(ctx, m.Pod, m.Volume)
	if err != nil {
		return err
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
	if m.Group >= 0 && v.Spec.Local != nil && !readOnlyClaim(m.Volume) {
		policy := corev1.FSGroupChangeAlways
		if sc := m.Pod.Spec.SecurityContext; sc != nil {
			policy = ptr.Deref(sc.FSGroupChangePolicy, policy)
		}
		if err := setGroup(source, m.Group, policy); err != nil {
			return fmt.Errorf("applyFSGroup failed for vol %s: %w", v.Name, err)
		}
	}
	return c.Binder.Bind(source, m.Dir, v.Spec.HostPath != nil)
}

// Open implements Plugin. A hostPath may be no directory.
func (c claim) Open(v *corev1.Volume, dir string) (container.Volume, error) {
	root, err := openPlace(dir, unix.O_NOFOLLOW)
	return container.Volume{Root: root, Path: dir, ReadOnly: readOnlyClaim(v)}, err
}

func readOnlyClaim(v *corev1.Volume) bool {
	return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ReadOnly
}

// resolve is the volume that a pod's claim is bound to. Both must say so.
func (c claim) resolve(ctx context.Context, p *corev1.Pod, v *corev1.Volume) (*corev1.PersistentVolume, error) {
	name, _ := pod.ClaimName(p, v)
	failed := func(format string, args ...any) error {
		return fmt.Errorf("error processing PVC %s/%s: %w", p.Namespace, name, fmt.Errorf(format, args...))
	}
	pvc, err := c.Claims.Claim(ctx, p.Namespace, name)
	if err != nil {
		return nil, failed("failed to fetch PVC from API server: %w", err)
	}
	if v.Ephemeral != nil {
		if err := ephemeral.VolumeIsForPod(p, pvc); err != nil {
			return nil, err
		}
	}
	switch {
	case pvc.DeletionTimestamp != nil:
		return nil, failed("can't start pod because PVC is being deleted")
	case pvc.Status.Phase != corev1.ClaimBound || pvc.Spec.VolumeName == "":
		return nil, failed("PVC is not bound")
	}
	pv, err := c.Claims.PersistentVolume(ctx, pvc.Spec.VolumeName)
	switch {
	case err != nil:
		return nil, failed("failed to fetch PV %s from API server: %w", pvc.Spec.VolumeName, err)
	case pv.Spec.ClaimRef == nil:
		return nil, failed("found PV object %s with nil pv.Spec.ClaimRef indicating it is not yet bound to the claim", pv.Name)
	case pv.Spec.ClaimRef.UID != pvc.UID:
		return nil, failed("found PV object %s with a pv.Spec.ClaimRef.UID %s that does not match expected %s", pv.Name, pv.Spec.ClaimRef.UID, pvc.UID)
	case ptr.Deref(pv.Spec.VolumeMode, corev1.PersistentVolumeFilesystem) == corev1.PersistentVolumeBlock:
		return nil, failed("PV %s has volumeMode Block, which this cluster does not support", pv.Name)
	case len(pv.Spec.MountOptions) > 0:
		return nil, failed("PV %s has mountOptions: a directory of the server is mounted as it is", pv.Name)
	}
	n, err := c.Node(ctx)
	if err != nil {
		return nil, failed("failed to fetch the node: %w", err)
	}
	if err := volumehelpers.CheckNodeAffinity(pv, n.Labels); err != nil {
		return nil, fmt.Errorf("MountVolume.NodeAffinity check failed for volume %q: %w", pv.Name, err)
	}
	return pv, nil
}

// open opens what is mounted, as a place only.
func (c claim) open(ctx context.Context, v *corev1.PersistentVolume) (*os.File, error) {
	switch {
	case c.Local.Provisioned(v):
		return c.Local.Open(ctx, v)
	case v.Spec.Local != nil:
		f, err := openPlace(v.Spec.Local.Path, unix.O_DIRECTORY)
		if errors.Is(err, unix.ENOTDIR) {
			return nil, fmt.Errorf("local volume %s: %s is no directory, and devices are not mounted by this cluster", v.Name, v.Spec.Local.Path)
		}
		return f, err
	case v.Spec.HostPath != nil:
		if err := makeHostPath(v.Spec.HostPath); err != nil {
			return nil, err
		}
		opened, err := hostPath{}.Open(&corev1.Volume{VolumeSource: corev1.VolumeSource{HostPath: v.Spec.HostPath}}, "")
		return opened.Root, err
	}
	return nil, fmt.Errorf("PersistentVolume %s is of a type that this node has no driver of: it has local and hostPath", v.Name)
}

// Users are the UIDs of the pods on the disk that have a claim's volume bound that is f.
func Users(layout poddir.Layout, f *os.File) ([]string, error) {
	is, err := f.Stat()
	if err != nil {
		return nil, err
	}
	uids, err := layout.UIDs()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, uid := range uids {
		dirs, err := entries(filepath.Join(layout.Volumes(uid), claimDir))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(dirs, func(dir string) bool {
			there, err := os.Lstat(dir)
			return err == nil && os.SameFile(is, there)
		}) {
			out = append(out, uid)
		}
	}
	return out, nil
}
