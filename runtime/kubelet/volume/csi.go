package volume

import (
	"context"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/csi"
)

// Drivers mount volumes of CSI drivers. dir is the directory in which they remember one.
type Drivers interface {
	Mount(ctx context.Context, m csi.Mount) error
	Refresh(ctx context.Context, m csi.Mount) error
	Unmount(ctx context.Context, dir string) error
	// Mounted is where a volume is, if it is mounted; Known is a volume that may be.
	Mounted(dir string) (csi.Mounted, bool)
	Known(dir string) bool
	Release(uid string)
}

// inline are the volumes of drivers that live as long as their pod. Below their directory
// those of claims are remembered, too: whoever takes a pod's volumes away need not know
// what they were.
type inline struct{ drivers Drivers }

// NewCSI returns the plugin of volumes of CSI drivers.
func NewCSI(drivers Drivers) Plugin { return inline{drivers} }

// driverDir is the directory of the volumes of drivers below a pod's.
const driverDir = "csi"

func (inline) Name() string                   { return driverDir }
func (inline) Supports(v *corev1.Volume) bool { return v.CSI != nil }
func (inline) Traits() Traits                 { return Traits{} }
func (i inline) Release(uid string)           { i.drivers.Release(uid) }
func (i inline) Refreshes(dir string) bool    { return i.drivers.Known(dir) }

func (inline) mount(m Mounting) csi.Mount {
	v := m.Volume.CSI
	return csi.Mount{
		Pod: m.Pod, Name: m.Volume.Name, Dir: m.Dir, Inline: v, ReadOnly: v.ReadOnly != nil && *v.ReadOnly, Group: m.Group, Changed: m.Changed,
	}
}

func (i inline) SetUp(ctx context.Context, m Mounting) error {
	return i.drivers.Mount(ctx, i.mount(m))
}

// Refresh implements refresher.
func (i inline) Refresh(ctx context.Context, m Mounting) error {
	return i.drivers.Refresh(ctx, i.mount(m))
}

// Open implements Plugin. Nobody but the driver reaches what is above the mount.
func (i inline) Open(v *corev1.Volume, dir string) (container.Volume, error) {
	return openMounted(i.drivers, v.Name, dir)
}

func openMounted(drivers Drivers, name, dir string) (container.Volume, error) {
	at, ok := drivers.Mounted(dir)
	switch {
	case !ok:
		return container.Volume{}, fmt.Errorf("volume %q is not mounted", name)
	case at.Block:
		return container.Volume{}, fmt.Errorf("volume %q has volumeMode Block, and cannot be mounted as a file system", name)
	}
	root, err := openPlace(at.Path, unix.O_NOFOLLOW)
	return container.Volume{Root: root, Path: at.Path, ReadOnly: at.ReadOnly}, err
}

// TearDown implements Plugin.
func (i inline) TearDown(dir string) error {
	return i.drivers.Unmount(context.Background(), dir)
}

// beside is where the volume of a claim is remembered that is a driver's.
func beside(dir string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(dir)), driverDir, filepath.Base(dir))
}
