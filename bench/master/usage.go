package master

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Usage is what a process holds and has used.
type Usage struct {
	PSS, Anonymous float64 // MiB
	CPU            float64 // seconds since its start
}

// clockTicks is USER_HZ, the unit of the CPU times in /proc.
const clockTicks = 100

// Usage reads the process's from /proc.
func (p *Process) Usage() (Usage, error) {
	var u Usage
	proc := fmt.Sprintf("/proc/%d/", p.PID())
	rollup, err := os.Open(proc + "smaps_rollup")
	if err != nil {
		return u, err
	}
	defer rollup.Close()
	for lines := bufio.NewScanner(rollup); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			continue
		}
		kib, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			continue // the header
		}
		switch f[0] {
		case "Pss:":
			u.PSS = kib / 1024
		case "Anonymous:":
			u.Anonymous = kib / 1024
		}
	}
	stat, err := os.ReadFile(proc + "stat")
	if err != nil {
		return u, err
	}
	// The command's name may have spaces; what follows it does not. User and system
	// time are fields 14 and 15.
	_, after, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(after)
	if len(f) < 13 {
		return u, fmt.Errorf("%sstat: %q", proc, stat)
	}
	for _, ticks := range f[11:13] {
		n, err := strconv.ParseFloat(ticks, 64)
		if err != nil {
			return u, fmt.Errorf("%sstat: %w", proc, err)
		}
		u.CPU += n / clockTicks
	}
	return u, nil
}
