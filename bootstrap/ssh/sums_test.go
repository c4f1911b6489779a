package ssh

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
)

// What the unpacker keeps of the programs that it installs is what Stat looks for:
// the first plan after an apply reads none of them.
func TestTheSumsOfWhatWasUnpackedAreKept(t *testing.T) {
	h, _ := connected(t)
	dir := t.TempDir()
	programs, installed := filepath.Join(dir, "programs"), filepath.Join(dir, "installed")
	h.sums = filepath.Join(dir, "run", "sums")
	if err := os.Mkdir(programs, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"gantry": 2 << 20, archive.UnpackerName: 10} {
		if err := os.WriteFile(filepath.Join(programs, name), bytes.Repeat([]byte("x"), size), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	m, err := archive.Pack(&b, programs, archive.Manifest{Version: "1", Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if err := archive.Install(&b, installed, h.sums, ""); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(installed, "gantry")
	sum := func() string {
		t.Helper()
		infos, err := h.Stat(t.Context(), program)
		if err != nil {
			t.Fatal(err)
		}
		return infos[program].SHA256
	}
	if got, want := sum(), m.Programs()[0].SHA256; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// With another sum for the same file, it is that one: the file was not read.
	kept, err := filepath.Glob(filepath.Join(h.sums, "*"))
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	line, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	key, _, _ := strings.Cut(string(line), " ")
	other := strings.Repeat("a", 64)
	if err := os.WriteFile(kept[0], []byte(key+" "+other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := sum(); got != other {
		t.Error("the file was read again")
	}
}
