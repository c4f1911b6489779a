package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// load is what became of the machine's CPUs up to a moment: how much of their time was used
// by all processes, and by the lab's hosts, and for how long something waited for one.
type load struct {
	at          time.Time
	all, ofHost time.Duration
	waited      time.Duration
}

// tick is the unit of /proc/stat, the same on every architecture of Linux.
const tick = 10 * time.Millisecond

func loadOf(l *lab.Lab) (load, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return load{}, err
	}
	all, err := busy(string(stat))
	if err != nil {
		return load{}, err
	}
	waited, err := waiting(os.ReadFile("/proc/pressure/cpu"))
	if err != nil {
		return load{}, err
	}
	own, err := l.CPU()
	return load{time.Now(), all, own, waited}, err
}

// waiting is for how long something waited for a CPU, of what is in /proc/pressure/cpu and
// the error of reading it: never, where the kernel has none or was started without.
func waiting(pressure []byte, err error) (time.Duration, error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EOPNOTSUPP) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(pressure)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "some" {
			continue
		}
		total, ok := strings.CutPrefix(f[len(f)-1], "total=")
		n, err := strconv.ParseInt(total, 10, 64)
		if !ok || err != nil {
			break
		}
		return time.Duration(n) * time.Microsecond, nil
	}
	return 0, fmt.Errorf("/proc/pressure/cpu says %q, and not for how long some waited", pressure)
}

// busy is the CPU time in /proc/stat that was not idle; what a hypervisor took is not
// idle either.
func busy(stat string) (time.Duration, error) {
	first, _, _ := strings.Cut(stat, "\n")
	f := strings.Fields(first)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", first)
	}
	var out time.Duration
	for i, text := range f[1:9] { // user nice system idle iowait irq softirq steal
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			out += time.Duration(n) * tick
		}
	}
	return out, nil
}

// others is which part of the machine's CPUs, from 0 to 1, others had since before.
func (l load) others(before load) float64 {
	whole := l.at.Sub(before.at) * time.Duration(runtime.NumCPU())
	if whole <= 0 {
		return 0
	}
	return min(max(float64((l.all-before.all)-(l.ofHost-before.ofHost))/float64(whole), 0), 1)
}

// late is which part of the time since before, from 0 to 1, something waited for a CPU, be
// it the lab's own: its hosts begin six processes each at the same moment, which two CPUs
// have no room for.
func (l load) late(before load) float64 {
	whole := l.at.Sub(before.at)
	if whole <= 0 {
		return 0
	}
	return min(max(float64(l.waited-before.waited)/float64(whole), 0), 1)
}
