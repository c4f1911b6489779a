//go:build lab

package lab

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func startLab(t *testing.T, name string, hosts ...string) *Lab {
	t.Helper()
	return startLabOf(t, Options{Name: name, Hosts: hosts})
}

func startLabOf(t *testing.T, o Options) *Lab {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*unpackTimeout+2*time.Minute) // it may make an image
	t.Cleanup(cancel)
	l, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(context.Background())
		defer cancel()
		if err := Stop(ctx, o.Name); err != nil {
			t.Error(err)
		}
	})
	return l
}

func mustRun(t *testing.T, h *Host, command string) string {
	t.Helper()
	out, err := h.Run(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// reaches tries once.
func reaches(t *testing.T, from, to *Host) bool {
	t.Helper()
	_, err := from.Run(t.Context(), "timeout 3 bash -c 'echo > /dev/tcp/"+to.Address+"/22'")
	return err == nil
}

// mustReach tries again: a host is slow for a while after its boot, and forgets
// only within seconds that a neighbour did not answer.
func mustReach(t *testing.T, from, to *Host) {
	t.Helper()
	for tries := 1; !reaches(t, from, to); tries++ {
		if tries == 60 {
			t.Fatalf("%s does not reach %s", from.Name, to.Name)
		}
	}
}

func TestHostsAreBareServers(t *testing.T) {
	l := startLab(t, "labtest", "a", "b")
	a, b := l.Hosts[0], l.Hosts[1]
	if got := mustRun(t, a, "cat /proc/1/comm; hostname"); got != "systemd\na" {
		t.Errorf("init and hostname: %q", got)
	}
	if got := mustRun(t, a, "ip route show default"); got != "" {
		t.Errorf("there is a way out: %s", got)
	}
	if mustRun(t, a, "cat /etc/machine-id") == mustRun(t, b, "cat /etc/machine-id") {
		t.Error("two hosts have one machine-id")
	}
	if got := mustRun(t, a, "sudo -u "+User+" sudo -n id -u"); got != "0" {
		t.Errorf("sudo of the unprivileged user gives uid %s", got)
	}
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/memory"} {
		mustRun(t, a, "test ! -e "+root+"/cgroup.procs || { mkdir "+root+"/made && rmdir "+root+"/made; }")
	}
	mustReach(t, a, b)
}

func TestAnUnknownRelease(t *testing.T) {
	if err := Available(t.Context(), "warty"); err == nil || !strings.Contains(err.Error(), "noble") {
		t.Errorf("an unknown release is refused with: %v", err)
	}
}

// It goes by what is on this machine, and not by whether other people's mirrors answer.
func TestServersOfOtherReleases(t *testing.T) {
	noble, err := findRelease("noble")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(imageDir(noble, containerRecipe)); err != nil {
		t.Skipf("the image is not there (gantry-lab image --release noble makes it): %v", err)
	}
	l := startLabOf(t, Options{Name: "labtest", Hosts: []string{"a"}, Releases: map[string]string{"b": "noble"}})
	b, err := l.Add(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	const tell = `. /etc/os-release; echo $VERSION_CODENAME; ip -br -4 addr show host0`
	if got := strings.Fields(mustRun(t, b, tell)); len(got) != 4 || got[0] != "noble" || got[3] != b.Address+"/24" {
		t.Errorf("the added server is %q", got)
	}
	own, err := ownRelease()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(mustRun(t, l.Hosts[0], tell)); got[0] != own.suite {
		t.Errorf("the other server runs %s, this machine %s", got[0], own.suite)
	}
	if got := mustRun(t, b, "systemctl is-enabled ssh.socket; systemctl is-system-running --wait"); got != "enabled\nrunning" {
		t.Errorf("Ubuntu's sshd is socket-activated, and its system should run: %q", got)
	}
}

func TestPartitionCutsAndHeals(t *testing.T) {
	l := startLab(t, "labtest", "a", "b", "c")
	a, b, c := l.Hosts[0], l.Hosts[1], l.Hosts[2]
	mustReach(t, a, b)
	mustReach(t, b, a)
	if err := l.Partition("a"); err != nil {
		t.Fatal(err)
	}
	if reaches(t, a, b) || reaches(t, b, a) {
		t.Error("a partitioned host reaches a peer")
	}
	mustReach(t, b, c)
	if err := a.waitSSH(t.Context(), bootTimeout, nil); err != nil {
		t.Errorf("the partition cuts this machine's own way: %v", err)
	}
	if err := l.Partition(); err != nil {
		t.Fatal(err)
	}
	mustReach(t, a, b)
}

func TestPowerCutAndBootKeepTheDisk(t *testing.T) {
	l := startLab(t, "labtest", "a")
	a := l.Hosts[0]
	conn, err := net.Dial("tcp", net.JoinHostPort(a.Address, "22"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1024)); err != nil { // what sshd says first
		t.Fatal(err)
	}
	boot := mustRun(t, a, "touch /var/lib/kept /etc/kept; readlink /proc/self/ns/pid; stat -c %Y /run")
	address := bridgeAddress(t, l)
	if err := a.PowerCut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := bridgeAddress(t, l); now != address {
		t.Errorf("this machine's hardware address was %s and is %s with a host less", address, now)
	}
	if _, err := a.Run(t.Context(), "true"); !errors.Is(err, errOff) {
		t.Errorf("a host without power runs a command: %v", err)
	}
	conn.SetReadDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the read fails then
	if _, err := conn.Read(make([]byte, 1024)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a host without power told of the end of a connection: %v", err)
	}
	if err := a.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := mustRun(t, a, "ls /var/lib/kept /etc/kept >/dev/null; readlink /proc/self/ns/pid; stat -c %Y /run"); again == boot {
		t.Error("the host did not boot again")
	}
	if err := a.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustRun(t, a, "ls /var/lib/kept /etc/kept")
}

func bridgeAddress(t *testing.T, l *Lab) string {
	t.Helper()
	bridge, err := netlink.LinkByName(l.bridge())
	if err != nil {
		t.Fatal(err)
	}
	return bridge.Attrs().HardwareAddr.String()
}

func TestTheNextStartCleansWhatACrashLeft(t *testing.T) {
	l := startLab(t, "labtest", "a")
	// A run that died before it wrote lab.json.
	if err := os.Remove(l.dir() + "/lab.json"); err != nil {
		t.Fatal(err)
	}
	l = startLab(t, "labtest", "b")
	if got := mustRun(t, l.Hosts[0], "hostname"); got != "b" {
		t.Errorf("host is %s", got)
	}
	if err := Stop(t.Context(), "labtest"); err != nil {
		t.Fatal(err)
	}
	if pids := pidsIn("labtest"); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), labDir("labtest")) {
		t.Error("mounts are left")
	}
	if left, err := loopsBelow(labDir("labtest")); err != nil || len(left) > 0 {
		t.Errorf("loop devices are left: %+v, %v", left, err)
	}
}

func TestTheNextStartCleansALabWithoutItsDirectory(t *testing.T) {
	l := startLab(t, "labtest", "a")
	away := filepath.Join(baseDir, "labtest"+moved)
	if err := takeAway(t.Context(), away); err != nil { // of a run that was killed here
		t.Fatal(err)
	}
	if err := os.Rename(l.dir(), away); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := takeAway(context.Background(), away); err != nil {
			t.Error(err)
		}
	})
	l = startLab(t, "labtest", "b")
	if got := mustRun(t, l.Hosts[0], "hostname"); got != "b" {
		t.Errorf("host is %s", got)
	}
	if a := (&Host{Name: "a", lab: l}); a.Running() {
		t.Error("a host of the lab before still runs")
	}
}
