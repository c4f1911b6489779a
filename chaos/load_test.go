package main

import (
	"math"
	"runtime"
	"testing"
	"time"
)

func TestBusy(t *testing.T) {
	got, err := busy("cpu  1 2 4 1000 5000 8 16 32 64 128\ncpu0 9 9 9 9 9 9 9 9 9 9\n")
	if want := 63 * tick; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	for _, bad := range []string{"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 x 4 5 6 7 8", "cpu 1 2 3 4 5 6 7"} {
		if got, err := busy(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
}

func TestOthers(t *testing.T) {
	begin := time.Now()
	cpus := time.Duration(runtime.NumCPU())
	before := load{begin, time.Hour, time.Minute}
	for _, c := range []struct {
		all, ofHost time.Duration
		want        float64
	}{{10 * time.Second * cpus, 0, 1}, {10 * time.Second * cpus, 5 * time.Second * cpus, 0.5}, {5 * time.Second * cpus, 5 * time.Second * cpus, 0}, {0, time.Second, 0}, {30 * time.Second * cpus, 0, 1}} {
		if got := (load{begin.Add(10 * time.Second), time.Hour + c.all, time.Minute + c.ofHost}).others(before); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s of all and %s of the hosts: %f, want %f", c.all, c.ofHost, got, c.want)
		}
	}
	if got := before.others(before); got != 0 {
		t.Errorf("in no time: %f", got)
	}
}
