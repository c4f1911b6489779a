package preflight

import (
	"testing"

	"github.com/gantry-run/gantry/bootstrap/host"
)

func TestWhereVolumesMayLie(t *testing.T) {
	const disk = " at /srv (rw,noatime; 1.5 GiB of 2.0 GiB free)"
	for name, tc := range map[string]struct {
		path, at, kind, options string
		finding, doubt          string
	}{
		"a disk":              {"/srv/a", "/srv", "ext4", "rw,noatime", "", ""},
		"nothing is said":     {"", "/", "tmpfs", "ro", "", ""},
		"it was not asked":    {"/srv/a", "", "tmpfs", "ro", "", ""},
		"memory":              {"/srv/a", "/srv", "tmpfs", "rw,noatime", "storage.path /srv/a lies on the tmpfs" + disk + ", which is empty when the server has been off: name a directory on a disk of the server", ""},
		"memory of the other": {"/srv/a", "/srv", "ramfs", "rw,noatime", "storage.path /srv/a lies on the ramfs" + disk + ", which is empty when the server has been off: name a directory on a disk of the server", ""},
		"the network": {"/srv/a", "/srv", "nfs4", "rw,noatime", "storage.path /srv/a lies on the nfs4" + disk +
			", which other servers may have too: name a directory on a disk of the server, and use the CSI driver of that storage for volumes on it", ""},
		"a program": {"/srv/a", "/srv", "fuse.sshfs", "rw,noatime", "storage.path /srv/a lies on the fuse.sshfs" + disk +
			", which other servers may have too: name a directory on a disk of the server, and use the CSI driver of that storage for volumes on it", ""},
		"a disk by a program": {"/srv/a", "/srv", "fuseblk", "rw,noatime", "", ""},
		"not to be written": {"/srv/a", "/srv", "xfs", "noatime,ro", "storage.path /srv/a lies on the xfs at /srv (noatime,ro; 1.5 GiB of 2.0 GiB free), which is mounted read-only: " +
			"mount it to be written (mount -o remount,rw /srv, and in /etc/fstab)", ""},
		"no other option": {"/srv/a", "/srv", "xfs", "rw,errors=ro", "", ""},
		"the server's own": {"/srv/a", "/", "ext4", "rw", "", "a (192.0.2.1): storage.path /srv/a is not on a file system of its own, but on the ext4 at / (rw; 1.5 GiB of 2.0 GiB free): " +
			"where a disk is meant, mount it first; where not, full volumes fill the server"},
	} {
		s := worker("a", "192.0.2.1")
		s.Node.Kubelet.Storage.Path = tc.path
		s.Facts.Storage = host.FileSystem{Dir: "/srv", At: tc.at, Type: tc.kind, Options: tc.options, SizeBytes: 2 << 30, FreeBytes: 3 << 29}
		finding, doubt := "", ""
		if found := Findings(Check([]Subject{s}, around)["a"]); len(found) == 1 {
			finding = found[0].String()
		} else if len(found) > 1 {
			t.Errorf("%s: found %v", name, found)
		}
		if err := Doubts([]Subject{s})["a"]; err != nil {
			doubt = err.Error()
		}
		if finding != tc.finding || doubt != tc.doubt {
			t.Errorf("%s:\n got %q, %q\nwant %q, %q", name, finding, doubt, tc.finding, tc.doubt)
		}
	}
}
