package cm

import (
	"bufio"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const mountPoint = "/sys/fs/cgroup"

var unified = sync.OnceValue(func() bool {
	var st unix.Statfs_t
	return unix.Statfs(mountPoint, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
})

// Unified says whether this host has cgroup v2 only.
func Unified() bool { return unified() }

// hierarchies are the cgroup file systems of a host: one with v2, under the name "";
// with v1 one per controller. "unified" is the v2 hierarchy beside those of v1, by which
// systemd tells whose a process is.
type hierarchies struct {
	v2    bool
	roots map[string]string // mount points by controller
}

// host returns those of this host.
func host() hierarchies {
	if Unified() {
		return hierarchies{v2: true, roots: map[string]string{"": mountPoint}}
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return hierarchies{}
	}
	defer f.Close()
	return hierarchies{roots: parseMounts(f)}
}

// parseMounts finds the mount points of v1 controllers.
func parseMounts(mountinfo io.Reader) map[string]string {
	out := map[string]string{}
	for s := bufio.NewScanner(mountinfo); s.Scan(); {
		// ID parent major:minor root MOUNTPOINT options … - TYPE source SUPEROPTIONS
		left, right, ok := strings.Cut(s.Text(), " - ")
		fields, super := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(super) < 3 {
			continue
		}
		switch super[0] {
		case "cgroup2":
			out["unified"] = fields[4]
		case "cgroup":
			for _, c := range strings.Split(super[2], ",") {
				out[c] = fields[4]
			}
		}
	}
	return out
}
