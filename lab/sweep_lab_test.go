//go:build lab

package lab

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// startsAndWaits has this test start a lab, say so, and wait for its end: what a run is
// that is killed.
const startsAndWaits = "GANTRY_LAB_TEST_STARTS"

func TestStartsALabAndWaits(t *testing.T) {
	name := os.Getenv(startsAndWaits)
	if name == "" {
		t.Skip("run by the tests of the sweep")
	}
	if _, err := Start(t.Context(), Options{Name: name, Hosts: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("started\n")
	<-t.Context().Done()
	select {}
}

// startElsewhere starts a lab in a process of its own.
func startElsewhere(t *testing.T, name string) (kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestStartsALabAndWaits$")
	cmd.Env = append(os.Environ(), startsAndWaits+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
	}
	t.Cleanup(func() {
		kill()
		if err := Stop(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			t.Fatal("the other process ended before its lab had started")
		}
		if lines.Text() == "started" {
			return kill
		}
	}
}

// sweepTook sweeps, and says whether all lines that were expected were among what was told.
func sweepTook(t *testing.T, want ...string) {
	t.Helper()
	took, err := Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(took, "\n")
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("the sweep took nothing with %q:\n%s", w, all)
		}
	}
	if again, err := Sweep(t.Context()); err != nil || len(again) > 0 {
		t.Errorf("a second sweep takes %q, %v", again, err)
	}
}

// attachLoop gives a new file to a loop device, in a host or on this machine.
func attachLoop(t *testing.T, file string) loop {
	t.Helper()
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t.Context(), "losetup", "--show", "-f", file)
	if err != nil {
		t.Fatal(err)
	}
	l := loop{name: filepath.Base(strings.TrimSpace(string(out))), file: file}
	t.Cleanup(func() {
		if err := l.detach(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestTheSweepTakesWhatAKilledRunLeft(t *testing.T) {
	kept := startLabOf(t, Options{Name: "labtest-kept", Hosts: []string{"a"}, Keep: true})
	if err := unix.Close(kept.owner); err != nil { // as if its process had ended
		t.Fatal(err)
	}
	own := startLab(t, "labtest", "a")
	kill := startElsewhere(t, "labtest-killed")
	sweepTook(t)
	for _, name := range []string{"labtest", "labtest-kept", "labtest-killed"} {
		l, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		mustRun(t, l.Hosts[0], "true")
	}

	if _, err := Start(t.Context(), Options{Name: "labtest-killed", Hosts: []string{"a"}}); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("another process's lab is started anew: %v", err)
	}

	killed, err := Open("labtest-killed")
	if err != nil {
		t.Fatal(err)
	}
	attachLoop(t, filepath.Join(killed.Hosts[0].root(), "var/lib/volume.img"))
	kill()
	sweepTook(t, "cgroups of lab labtest-killed, with", "directory "+killed.dir())
	if pids := pidsIn("labtest-killed"); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
	if left, err := loopsBelow(killed.dir()); err != nil || len(left) > 0 {
		t.Errorf("loop devices are left: %+v, %v", left, err)
	}
	for _, l := range []*Lab{kept, own} {
		if disks, err := loopsBelow(l.dir()); err != nil || len(disks) != 1 {
			t.Errorf("the host of lab %s has disks %+v, %v", l.Name, disks, err)
		}
	}
	if _, err := netlink.LinkByName(killed.bridge()); err == nil {
		t.Errorf("bridge %s is left", killed.bridge())
	}
	mustRun(t, kept.Hosts[0], "true")
	mustRun(t, own.Hosts[0], "true")
}

func TestTheSweepTakesStrays(t *testing.T) {
	own := startLab(t, "labtest", "a")
	const index, ofTable = "249", "248"
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgePrefix + index}}); err != nil {
		t.Fatal(err)
	}
	tap := tapPrefix + index + "-11"
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: tap}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeLink(tap); err != nil {
			t.Error(err)
		}
		for _, index := range []string{index, ofTable} {
			if err := removeNetwork(index); err != nil {
				t.Error(err)
			}
		}
	})
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	c.AddTable(partitionTable(ofTable))
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := own.Partition("a"); err != nil {
		t.Fatal(err)
	}
	deleted := attachLoop(t, filepath.Join(t.TempDir(), "deleted.img"))
	if err := os.Remove(deleted.file); err != nil {
		t.Fatal(err)
	}
	other := attachLoop(t, filepath.Join(t.TempDir(), "other.img"))
	making := filepath.Join(baseDir, "images", "warty-0"+makingSuffix)
	if err := os.MkdirAll(filepath.Join(making, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("proc", filepath.Join(making, "proc"), "proc", 0, ""); err != nil {
		t.Fatal(err)
	}

	sweepTook(t, "link "+bridgePrefix+index, "link "+tap, "nftables table "+tablePrefix+ofTable, deleted.name+" of "+deleted.file, "half-made image "+making)

	if !other.has() {
		t.Errorf("loop device %s, whose file is there, has lost it", other.name)
	}
	if tables, err := bridgeTables(); err != nil || len(tables) != 1 || tables[0] != partitionTable(strings.TrimPrefix(own.bridge(), bridgePrefix)).Name {
		t.Errorf("tables are %q, %v: that of the lab that runs is wanted", tables, err)
	}
	if _, err := os.Stat(making); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", making, err)
	}
	mustRun(t, own.Hosts[0], "true")
}

func TestAnImageThatIsBeingMadeStays(t *testing.T) {
	making := filepath.Join(baseDir, "images", "warty-0"+makingSuffix)
	if err := os.MkdirAll(making, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(imageLock("warty"))
	if err != nil {
		t.Fatal(err)
	}
	sweepTook(t)
	if _, err := os.Stat(making); err != nil {
		t.Errorf("what somebody makes is taken away: %v", err)
	}
	unlock()
	sweepTook(t, "half-made image "+making)
	if err := os.Remove(lockFile(imageLock("warty"))); err != nil {
		t.Error(err)
	}
}

func TestStopTakesAwayWhatAnotherStopHasBegunToRemove(t *testing.T) {
	left := labDir("labtest-half") + gone
	if err := os.MkdirAll(filepath.Join(left, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Stop(t.Context(), "labtest-half"); err != nil || exists(left) {
		t.Errorf("%s is there: %v, %v", left, exists(left), err)
	}
}
