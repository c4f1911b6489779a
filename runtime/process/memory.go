package process

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settled is when what only the start needed has become garbage.
	settled = 10 * time.Second
	// idleCheck is how often a process looks whether it is idle, and idleShare the
	// part of a core below which it is.
	idleCheck = time.Minute
	idleShare = 0.05
)

// keepLean gives memory back that the start or a time of work has left: the
// collector alone keeps as much garbage as there are live objects for as long as
// little is allocated, which on an idle server is for good. A busy process is left
// to the collector. The cost is one collection a minute, some milliseconds.
func keepLean(ctx context.Context, cpuTime func() time.Duration, collect, forgetText func()) {
	before := cpuTime()
	wait, first := time.NewTimer(settled), true
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		now := cpuTime()
		if first || now-before < time.Duration(idleShare*float64(idleCheck)) {
			collect()
		}
		if first {
			forgetText()
		}
		before, first = cpuTime(), false
		wait.Reset(idleCheck)
	}
}

func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return spent(u)
}

func spent(u unix.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }

// forgetText takes the pages of the binary out of this process's memory. Every
// process of the binary runs through the initialisation of all that is linked;
// what it needs from then on comes back from the page cache as it is touched.
func forgetText() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for _, m := range mapped(string(maps), self) {
		unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED) //nolint:errcheck // only memory is lost
	}
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// mapped finds a file's pages in the text of /proc/self/maps. Writable ones hold what
// the program changed: they are not the file's.
func mapped(maps, file string) []mapping {
	var out []mapping
	for line := range strings.Lines(maps) {
		f := strings.Fields(line)
		if len(f) < 6 || f[5] != file || strings.Contains(f[1], "w") {
			continue
		}
		var m mapping
		if _, err := fmt.Sscanf(f[0], "%x-%x", &m.from, &m.to); err == nil {
			out = append(out, m)
		}
	}
	return out
}
