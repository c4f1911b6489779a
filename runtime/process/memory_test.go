package process

import (
	"context"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestAnIdleProcessIsKeptLean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var used, collected, forgotten atomic.Int64
		go keepLean(ctx, func() time.Duration { return time.Duration(used.Load()) }, func() { collected.Add(1) }, func() { forgotten.Add(1) })
		for _, tc := range []struct {
			what                 string
			after, more          time.Duration // of the clock and of the processors
			collected, forgotten int64
		}{
			{"it has just started", 9 * time.Second, 9 * time.Second, 0, 0},
			{"the start is over", 2 * time.Second, 0, 1, 1},
			{"it is busy", time.Minute, 30 * time.Second, 1, 1},
			{"it uses just as much as a busy one", time.Minute, 3 * time.Second, 1, 1},
			{"it uses a little less", time.Minute, 3*time.Second - 1, 2, 1},
			{"it is idle", time.Minute, 0, 3, 1},
			{"half a minute later", 30 * time.Second, 0, 3, 1},
			{"a minute later", 30 * time.Second, 0, 4, 1},
		} {
			used.Add(int64(tc.more))
			time.Sleep(tc.after)
			synctest.Wait()
			if collected.Load() != tc.collected || forgotten.Load() != tc.forgotten {
				t.Errorf("%s: collected %d, forgotten %d, want %d and %d", tc.what, collected.Load(), forgotten.Load(), tc.collected, tc.forgotten)
			}
		}
		cancel()
		time.Sleep(2 * time.Minute)
		if collected.Load() != 4 {
			t.Error("collected after the end")
		}
	})
}

func TestBothKindsOfProcessorTimeCount(t *testing.T) {
	u := unix.Rusage{Utime: unix.Timeval{Sec: 2, Usec: 500_000}, Stime: unix.Timeval{Sec: 1}}
	if got := spent(u); got != 3500*time.Millisecond {
		t.Errorf("got %s", got)
	}
	if cpuTime() <= 0 {
		t.Error("this process has used none")
	}
}

func TestWhichPagesAreTheFiles(t *testing.T) {
	const maps = `00400000-00500000 r-xp 00000000 08:01 42                         /opt/gantry/bin/gantry
00500000-00501000 r--p 00100000 08:01 42                         /opt/gantry/bin/gantry
00501000-00502000 rw-p 00101000 08:01 42                         /opt/gantry/bin/gantry
c000000000-c000400000 rw-p 00000000 00:00 0 
7f0000000000-7f0000001000 r-xp 00000000 08:01 43                 /lib/libc.so.6
here-there r-xp 00000000 08:01 42                                /opt/gantry/bin/gantry
7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                  [vdso]
00600000-00601000 r--p 00200000 08:01 42                         /opt/gantry/bin/gantry
`
	want := []mapping{{0x400000, 0x500000}, {0x500000, 0x501000}, {0x600000, 0x601000}}
	if got := mapped(maps, "/opt/gantry/bin/gantry"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got := mapped(maps, "/opt/gantry/bin/runc"); got != nil {
		t.Errorf("of another file: %x", got)
	}
}
