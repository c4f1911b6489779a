package main

import (
	"io/fs"
	"math"
	"os"
	"runtime"
	"syscall"
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
	before := load{at: begin, all: time.Hour, ofHost: time.Minute}
	for _, c := range []struct {
		all, ofHost time.Duration
		want        float64
	}{{10 * time.Second * cpus, 0, 1}, {10 * time.Second * cpus, 5 * time.Second * cpus, 0.5}, {5 * time.Second * cpus, 5 * time.Second * cpus, 0}, {0, time.Second, 0}, {30 * time.Second * cpus, 0, 1}} {
		if got := (load{at: begin.Add(10 * time.Second), all: time.Hour + c.all, ofHost: time.Minute + c.ofHost}).others(before); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s of all and %s of the hosts: %f, want %f", c.all, c.ofHost, got, c.want)
		}
	}
	if got := before.others(before); got != 0 {
		t.Errorf("in no time: %f", got)
	}
}

func TestWaiting(t *testing.T) {
	failed := func(err error) error { return &fs.PathError{Op: "read", Path: "/proc/pressure/cpu", Err: err} }
	for name, tc := range map[string]struct {
		text string
		err  error
		want time.Duration
		ok   bool
	}{
		"as of old kernels":      {"some avg10=62.44 avg60=66.90 avg300=67.81 total=1015957\n", nil, 1015957 * time.Microsecond, true},
		"with what stalls all":   {"some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n", nil, 7 * time.Microsecond, true},
		"in another order":       {"full avg10=0.00 avg60=0.00 avg300=0.00 total=9\nsome avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", nil, 7 * time.Microsecond, true},
		"a kernel that has none": {"", failed(syscall.ENOENT), 0, true},
		"one that was told so":   {"", failed(syscall.EOPNOTSUPP), 0, true},
		"not to be read":         {"", failed(syscall.EACCES), 0, false},
		"empty":                  {"", nil, 0, false},
		"without a sum":          {"some avg10=0.00\n", nil, 0, false},
		"of no number":           {"some total=x\n", nil, 0, false},
	} {
		got, err := waiting([]byte(tc.text), tc.err)
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := waiting(os.ReadFile("/proc/pressure/cpu")); err != nil {
		t.Errorf("of this machine: %v", err)
	}
}

func TestLate(t *testing.T) {
	begin := time.Now()
	before := load{at: begin, waited: time.Hour}
	for waited, want := range map[time.Duration]float64{0: 0, 4 * time.Second: 0.4, 10 * time.Second: 1, 11 * time.Second: 1, -time.Second: 0} {
		if got := (load{at: begin.Add(10 * time.Second), waited: time.Hour + waited}).late(before); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s of ten seconds: %f, want %f", waited, got, want)
		}
	}
	if got := before.late(before); got != 0 {
		t.Errorf("in no time: %f", got)
	}
}
