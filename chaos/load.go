package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// load is how much CPU time was used up to a moment: by all processes of the machine,
// and by the lab's hosts.
type load struct {
	at          time.Time
	all, ofHost time.Duration
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
	own, err := l.CPU()
	return load{time.Now(), all, own}, err
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
