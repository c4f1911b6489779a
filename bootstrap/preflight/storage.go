package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// storage checks the directory that is named for volumes: data in it has
// to outlive the server's power, and to be no other server's.
func storage(s Subject) []Finding {
	path, fs := s.Node.Kubelet.Storage.Path, s.Facts.Storage
	if path == "" || fs.At == "" {
		return nil
	}
	lies := fmt.Sprintf("storage.path %s lies on %s", path, describe(fs))
	const name = "name a directory on a disk of the server"
	switch {
	case slices.Contains([]string{"tmpfs", "ramfs"}, fs.Type):
		return []Finding{{Problem: lies + ", which is empty when the server has been off", Remedy: name}}
	case shared(fs.Type):
		return []Finding{{Problem: lies + ", which other servers may have too", Remedy: name + ", and use the CSI driver of that storage for volumes on it"}}
	case slices.Contains(strings.Split(fs.Options, ","), "ro"):
		return []Finding{{Problem: lies + ", which is mounted read-only", Remedy: fmt.Sprintf("mount it to be written (mount -o remount,rw %s, and in /etc/fstab)", fs.At)}}
	}
	return nil
}

// shared reports whether a file system of that type is one of the network.
func shared(kind string) bool {
	return slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "glusterfs", "gfs2", "ocfs2", "lustre"}, kind) || strings.HasPrefix(kind, "fuse.")
}

// storageDoubt is said of a directory that is named for volumes and is on no disk of its
// own: the disk may not be mounted yet.
func storageDoubt(s Subject) string {
	path, fs := s.Node.Kubelet.Storage.Path, s.Facts.Storage
	if path == "" || fs.At != "/" {
		return ""
	}
	return fmt.Sprintf("storage.path %s is not on a file system of its own, but on %s: where a disk is meant, mount it first; where not, full volumes fill the server", path, describe(fs))
}

// describe has all that is known of a file system.
func describe(fs host.FileSystem) string {
	return fmt.Sprintf("the %s at %s (%s; %s of %s free)", fs.Type, fs.At, fs.Options, gib(fs.FreeBytes), gib(fs.SizeBytes))
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
