//go:build lab

package lab

import (
	"bytes"
	"strconv"
	"testing"
	"time"
)

// arrive sends UDP packets and says how many of a hundred come to the other host.
func arrive(t *testing.T, from, to *Host) int {
	t.Helper()
	received := func() int {
		n, err := strconv.Atoi(mustRun(t, to, "cat /sys/class/net/host0/statistics/rx_packets"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := received()
	mustRun(t, from, "bash -c 'for i in $(seq 400); do echo x >/dev/udp/"+to.Address+"/9; done'")
	for last := -1; ; { // what is on its way arrives first
		now := received()
		if now == last {
			return (now - before) / 4
		}
		last = now
		time.Sleep(300 * time.Millisecond)
	}
}

func TestPacketsAreLostOneWay(t *testing.T) {
	l := startLab(t, "labtest", "a", "b")
	a, b := l.Hosts[0], l.Hosts[1]
	mustReach(t, a, b)
	mustReach(t, b, a)
	for _, c := range []struct {
		loss        Loss
		least, most int // of those from a to b
	}{
		{Loss{"b", "a", 100}, 98, 110}, {Loss{"a", "b", 100}, 0, 2}, {Loss{"a", "b", 30}, 55, 85},
	} {
		if err := l.Lose(c.loss); err != nil {
			t.Fatal(err)
		}
		if got := arrive(t, a, b); got < c.least || got > c.most {
			t.Errorf("with %+v, %d %% arrive", c.loss, got)
		}
	}
	if err := l.Lose(Loss{"a", "b", 100}); err != nil {
		t.Fatal(err)
	}
	if reaches(t, b, a) {
		t.Error("an answer arrives that cannot")
	}
	if err := l.Lose(); err != nil {
		t.Fatal(err)
	}
	mustReach(t, a, b)
}

func TestASlowLink(t *testing.T) {
	l := startLab(t, "labtest", "a")
	a := l.Hosts[0]
	if err := a.SetRate(t.Context(), 100_000); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]string{"it sends": "head -c 500000 /dev/zero", "it is sent": "cat >/dev/null"} {
		cmd := a.SSH(t.Context(), size)
		if name == "it is sent" {
			cmd.Stdin = bytes.NewReader(make([]byte, 500_000))
		}
		began := time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 3*time.Second {
			t.Errorf("what %s, 500 kB, took %s", name, took)
		}
	}
	if err := a.SetRate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := a.SetRate(t.Context(), 0); err != nil {
		t.Errorf("lifting what is not there: %v", err)
	}
}

func TestAPausedHost(t *testing.T) {
	l := startLab(t, "labtest", "a")
	a := l.Hosts[0]
	if err := a.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.sshAnswers(t.Context()) {
		t.Error("a paused host answers")
	}
	if err := a.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.waitSSH(t.Context(), bootTimeout, nil); err != nil {
		t.Error(err)
	}
	if err := a.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.PowerCut(t.Context()); err != nil {
		t.Errorf("the power of a paused host: %v", err)
	}
}

func TestAFullDisk(t *testing.T) {
	l := startLabOf(t, Options{Name: "labtest", Hosts: []string{"a"}, DiskBytes: 1 << 30})
	a := l.Hosts[0]
	if err := a.FillDisk(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Run(t.Context(), "head -c 100000 /dev/zero >/var/lib/x"); err == nil {
		t.Error("a full disk takes more")
	}
	if err := a.EmptyDisk(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustRun(t, a, "head -c 100000 /dev/zero >/var/lib/x")
	if err := a.SetDiskRate(100_000); err != nil {
		t.Fatal(err)
	}
	const synced = "dd if=/dev/zero of=/var/lib/y bs=100k count=4 conv=fsync status=none"
	began := time.Now()
	if err := a.SSH(t.Context(), synced).Run(); err != nil { // in the host's own groups
		t.Fatal(err)
	}
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("400 kB came to a slow disk in %s", took)
	}
	if err := a.SetDiskRate(0); err != nil {
		t.Fatal(err)
	}
	if err := (&Host{Name: "b", Virtual: true}).FillDisk(t.Context()); err == nil {
		t.Error("the disk of a virtual machine would have been filled")
	}
}
