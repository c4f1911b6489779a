package volume

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/objects"
)

// Plugin is one kind of volume.
type Plugin interface {
	// Name is the directory of such volumes below a pod's. It is on the disks of
	// servers, so it stays.
	Name() string
	// Supports reports whether the volume is of this kind.
	Supports(v *corev1.Volume) bool
	Traits() Traits
	// SetUp makes the volume, or brings its content up to date.
	SetUp(ctx context.Context, m Mounting) error
	// Open opens what containers mount of a volume that was set up at dir.
	Open(v *corev1.Volume, dir string) (container.Volume, error)
	// TearDown undoes SetUp. Of what is not there, nothing is undone.
	TearDown(dir string) error
}

// refresher is a plugin of which some volumes change while the pod runs.
type refresher interface {
	// Refreshes says whether the volume that was set up at dir does.
	Refreshes(dir string) bool
	Refresh(ctx context.Context, m Mounting) error
}

// releaser is a plugin that remembers something of a pod.
type releaser interface{ Release(uid string) }

// Traits of a kind of volume.
type Traits struct {
	ReadOnly bool // for containers
	// Refreshed volumes have content that changes while the pod runs.
	Refreshed bool
}

// Mounting is a volume of a pod that is to be set up at Dir.
type Mounting struct {
	Pod *corev1.Pod
	// Status holds the pod's addresses, for the downward API.
	Status *corev1.PodStatus
	Volume *corev1.Volume
	Dir    string
	// Group owns the content; negative: nobody asked for that.
	Group int
	// Changed is called when an object in the volume has a newer version.
	Changed func()
}

// Mounts is the kernel's mount table.
type Mounts interface {
	Tmpfs(dir string, size int64) error
	IsTmpfs(dir string) bool
	// Below are the mount points at dir and below it.
	Below(dir string) ([]string, error)
	Unmount(dir string) error
	RemoveAll(dir string) error
}

// Objects are the ConfigMaps and Secrets of the API.
type Objects interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	TrustBundle(ctx context.Context, name string) (*certificatesv1.ClusterTrustBundle, error)
	TrustBundles(ctx context.Context, signer string, with labels.Selector) ([]certificatesv1.ClusterTrustBundle, error)
	Follow(ctx context.Context, key objects.Key, uid, version string, changed func())
	Release(uid string)
}

// Tokens gives service account tokens.
type Tokens interface {
	Token(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, error)
}

// directory is a volume that lies in its directory, which may be a mount.
type directory struct{ mounts Mounts }

// Open implements Plugin. No container reaches what is above the directory, so its path
// leads nowhere else.
func (directory) Open(_ *corev1.Volume, dir string) (container.Volume, error) {
	root, err := openPlace(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	return container.Volume{Root: root, Path: dir}, err
}

// openPlace opens a path as a place only: nothing can be read through it, and a device
// or FIFO does not feel it.
func openPlace(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, unix.O_PATH|flags, 0)
}

func (d directory) TearDown(dir string) error {
	if err := d.mounts.Unmount(dir); err != nil {
		return err
	}
	return d.mounts.RemoveAll(dir)
}

// tmpfs mounts a tmpfs of size bytes (0: the kernel's default) at dir, unless one is
// there.
func (d directory) tmpfs(dir string, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if d.mounts.IsTmpfs(dir) {
		return nil
	}
	return d.mounts.Tmpfs(dir, size)
}
