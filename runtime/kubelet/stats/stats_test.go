package stats

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseMemory(t *testing.T) {
	got, err := parseMemory(strings.NewReader("MemTotal:       2048 kB\nMemFree: 7 kB\n\nMemAvailable:    1024 kB\nMemTotalX: 1 kB\nAnonPages: 3 kB\n"))
	if err != nil || got != (memory{2 << 20, 1 << 20, 7 << 10, 3 << 10}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseMemory(strings.NewReader("MemTotal: many kB\n")); err == nil {
		t.Error("what is no number is taken")
	}
}

func TestOSImage(t *testing.T) {
	for release, want := range map[string]string{
		"NAME=x\nPRETTY_NAME=\"Debian 13\"\nID=d": "Debian 13", "PRETTY_NAME=Plain": "Plain", "NAME=x": "Linux", "": "Linux",
	} {
		if got := osImage(release); got != want {
			t.Errorf("%q gives %q, want %q", release, got, want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	m, err := ReadMachine(filepath.Join(t.TempDir(), "not", "there"))
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if m.CPUs < 1 || m.Memory < 1<<20 || m.Disk < 1<<20 || m.Hostname != host || m.Kernel == "" || m.BootID == "" {
		t.Errorf("this machine is %+v", m)
	}
	n := Provider{Dir: t.TempDir()}.Node()
	if n.MemoryAvailable <= 0 || n.MemoryAvailable > m.Memory || n.DiskFree < 0 || n.DiskFree > 100 || n.ProcessesFree <= 0 || n.ProcessesFree > 100 {
		t.Errorf("free is %+v of %+v", n, m)
	}
}
