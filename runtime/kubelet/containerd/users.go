package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// A container with users of its own sees files as it would without: what it mounts is
// mapped as its users are, so that on the disk root is root and a group is that group,
// whatever range the pod has. Only its own layer has the range's users on the disk.

// mappings are the users of a pod as the OCI spec and runc have them; none when they are
// the server's.
func mappings(u container.Users) []specs.LinuxIDMapping {
	if !u.Own() {
		return nil
	}
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: u.First, Size: u.Count}}
}

func withUsers(u container.Users) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		s.Linux.UIDMappings, s.Linux.GIDMappings = mappings(u), mappings(u)
		return nil
	}
}

// layerOptions map the image's layers and the container's own.
func layerOptions(u container.Users) []snapshots.Opt {
	if !u.Own() {
		return nil
	}
	return []snapshots.Opt{containerd.WithUserNSRemapperLabels(mappings(u), mappings(u))}
}

// taskOptions give a container's standard streams to its user, who may open them again.
func taskOptions(ctx context.Context, c containerd.Container, u container.Users) ([]containerd.NewTaskOpts, error) {
	if !u.Own() {
		return nil, nil
	}
	s, err := c.Spec(ctx)
	if err != nil {
		return nil, err
	}
	user := s.Process.User
	if user.UID >= u.Count || user.GID >= u.Count {
		return nil, fmt.Errorf("user %d of group %d is none of the %d of a pod with hostUsers: false", user.UID, user.GID, u.Count)
	}
	return []containerd.NewTaskOpts{containerd.WithUIDOwner(u.First + user.UID), containerd.WithGIDOwner(u.First + user.GID)}, nil
}

// probeUsers is the range with which it is tried what the kernel can.
const probeUsers = "0:1879048192:65536"

// userNamespaces says why containers cannot have users of their own, where the kernel
// makes no user namespaces or cannot map the mounts of a tmpfs or of one of disks.
func userNamespaces(disks []string) error {
	ns, err := mount.GetUsernsFD(probeUsers, probeUsers)
	if err != nil {
		return fmt.Errorf("this server makes no user namespaces (user.max_user_namespaces may be 0): %w", err)
	}
	defer ns.Close()
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
	mapped := func(what string, tree int, err error) error {
		if err == nil {
			defer unix.Close(tree)
			err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, attr)
		}
		if err != nil {
			return fmt.Errorf("the kernel of this server maps no users of %s, which needs Linux 6.3 and a file system that can: %w", what, err)
		}
		return nil
	}
	for _, dir := range disks {
		tree, err := unix.OpenTree(unix.AT_FDCWD, existing(dir), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err := mapped(dir, tree, err); err != nil {
			return err
		}
	}
	tree, err := newTmpfs()
	return mapped("a tmpfs", tree, err)
}

// existing is a directory, or the nearest one above it that exists.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || dir == "/" {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// newTmpfs makes a tmpfs that is mounted nowhere.
func newTmpfs() (int, error) {
	fsfd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fsfd)
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return -1, err
	}
	return unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, 0)
}
