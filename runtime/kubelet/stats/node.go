package stats

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Node is how much of the server is free. What could not be read is as if it were all
// free: nobody is evicted for a file that was not readable.
type Node struct {
	MemoryAvailable int64 // bytes, with what the kernel can drop
	DiskFree        int64 // percent of the pods' file system
	ProcessesFree   int64 // percent of the kernel's limit
}

// Provider reads how much of this server is free.
type Provider struct {
	Dir string // on the disk that counts
}

// Node reads it.
func (p Provider) Node() Node {
	n := Node{MemoryAvailable: 1 << 62, DiskFree: 100, ProcessesFree: 100}
	if m, err := readMemory(); err == nil {
		n.MemoryAvailable = m.available
	}
	if st, err := diskOf(p.Dir); err == nil && st.Blocks > 0 {
		n.DiskFree = int64(st.Bavail * 100 / st.Blocks)
	}
	if limit, running, err := processes(); err == nil {
		n.ProcessesFree = 100 - running*100/limit
	}
	return n
}

// processes are how many there can be on this server, threads among them, and are.
func processes() (limit, running int64, err error) {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return 0, 0, fmt.Errorf("sysinfo: %w", err)
	}
	if limit, err = strconv.ParseInt(read("/proc/sys/kernel/pid_max"), 10, 64); err != nil || limit <= 0 {
		return 0, 0, fmt.Errorf("read the limit of processes: %d, %w", limit, err)
	}
	return limit, int64(si.Procs), nil
}
