package cm

import (
	"bufio"
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

// hierarchies maps controllers to mount points; with v2, "" is the only one.
func hierarchies() map[string]string {
	if Unified() {
		return map[string]string{"": mountPoint}
	}
	out := map[string]string{}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return out
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		// ID parent major:minor root MOUNTPOINT options … - TYPE source SUPEROPTIONS
		left, right, ok := strings.Cut(s.Text(), " - ")
		fields, super := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(super) < 3 || (super[0] != "cgroup" && super[0] != "cgroup2") {
			continue
		}
		if super[0] == "cgroup2" {
			out["unified"] = fields[4]
			continue
		}
		for _, c := range strings.Split(super[2], ",") {
			out[c] = fields[4]
		}
	}
	return out
}
