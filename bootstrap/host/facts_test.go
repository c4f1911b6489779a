package host

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// local runs commands on the machine of the test.
type local struct{ Host }

func (local) Run(ctx context.Context, c Command) ([]byte, error) {
	return exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...).Output()
}

func TestTheFactsOfThisMachine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	dir := filepath.Join(t.TempDir(), "with space")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := ReadFacts(t.Context(), local{}, filepath.Join(dir, "not", "there"))
	if err != nil {
		t.Fatal(err)
	}
	if port := ln.Addr().(*net.TCPAddr).Port; !slices.Contains(f.Listening, port) {
		t.Errorf("port %d is not among %v", port, f.Listening)
	}
	if port := udp.LocalAddr().(*net.UDPAddr).Port; !slices.Contains(f.Bound, port) {
		t.Errorf("UDP port %d is not among %v", port, f.Bound)
	}
	if s := f.Storage; s.Dir != dir || !strings.HasPrefix(dir, s.At) || s.Type == "" || !strings.HasPrefix(s.Options, "rw") || s.SizeBytes < s.FreeBytes || s.FreeBytes <= 0 {
		t.Errorf("storage: %+v", s)
	}
	if none, err := ReadFacts(t.Context(), local{}, ""); err != nil || none.Storage != (FileSystem{}) {
		t.Errorf("storage that was not asked about: %+v, %v", none.Storage, err)
	}
	name, _ := os.Hostname()
	if f.Hostname != name || f.MemoryBytes == 0 || f.DiskFreeBytes == 0 || f.OptFreeBytes == 0 || f.UnixTime == 0 || f.Kernel == "" {
		t.Errorf("facts: %+v", f)
	}
	if !slices.Contains(f.Controllers, "memory") || !slices.Contains(f.Controllers, "pids") {
		t.Errorf("controllers: %v", f.Controllers)
	}
}
