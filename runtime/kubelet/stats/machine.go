package stats

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what this server is, and has from its start.
type Machine struct {
	CPUs         int64
	Memory, Disk int64 // bytes

	Arch, Kernel, OSImage         string
	Hostname                      string
	MachineID, SystemUUID, BootID string

	Booted time.Time
}

// ReadMachine reads the facts of this server. dir lies on the disk that counts; it
// need not exist yet.
func ReadMachine(dir string) (Machine, error) {
	m := Machine{CPUs: int64(runtime.NumCPU()), Arch: runtime.GOARCH}
	memory, err := readMemory()
	if err != nil {
		return m, fmt.Errorf("read what this machine has: %w", err)
	}
	m.Memory = memory.total
	if st, err := diskOf(dir); err == nil {
		m.Disk = int64(st.Blocks) * st.Bsize
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return m, fmt.Errorf("uname: %w", err)
	}
	m.Kernel, m.Hostname = unix.ByteSliceToString(uts.Release[:]), unix.ByteSliceToString(uts.Nodename[:])
	m.MachineID, m.BootID = read("/etc/machine-id"), read("/proc/sys/kernel/random/boot_id")
	if m.SystemUUID = read("/sys/class/dmi/id/product_uuid"); m.SystemUUID == "" {
		m.SystemUUID = m.MachineID
	}
	if seconds, _, ok := strings.Cut(read("/proc/uptime"), "."); ok {
		if up, err := strconv.Atoi(seconds); err == nil {
			m.Booted = time.Now().Add(-time.Duration(up) * time.Second).Truncate(time.Second)
		}
	}
	m.OSImage = osImage(read("/etc/os-release"))
	return m, nil
}

func osImage(release string) string {
	for line := range strings.Lines(release) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return "Linux"
}
