package bundle

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
)

func pack(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"gantry", "runc", archive.UnpackerName, ".stamp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name, 1000)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := archive.Pack(&b, dir, archive.Manifest{Version: "1", Platform: "linux/amd64"}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsPackedIsInstalled(t *testing.T) {
	data := pack(t)
	if !bytes.Equal(data, pack(t)) {
		t.Error("the same programs gave other bytes")
	}
	path := filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := Open(path)
	if err != nil || len(b.Programs()) != 2 || !strings.HasPrefix(string(b.Unpacker), archive.UnpackerName) {
		t.Fatalf("%+v %v", b, err)
	}
	dir := t.TempDir()
	for range 2 {
		if err := archive.Install(bytes.NewReader(data), dir, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("installed %v", entries)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "runc")); string(got) != strings.Repeat("runc", 1000) {
		t.Error("runc differs")
	}
}

func TestADamagedBundleInstallsNothing(t *testing.T) {
	data := pack(t)
	dir := t.TempDir()
	if err := archive.Install(bytes.NewReader(data[:len(data)-20]), dir, "", ""); err == nil {
		t.Error("a short bundle was installed")
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left %v", entries)
	}
	path := filepath.Join(t.TempDir(), "b")
	os.WriteFile(path, data, 0o644)                                         //nolint:errcheck // Open tells
	os.WriteFile(BesidePath(path), []byte(`{"archiveSHA256":"00"}`), 0o644) //nolint:errcheck // Open tells
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "copy or build it anew") {
		t.Errorf("got %v", err)
	}
	os.Remove(BesidePath(path))
	os.WriteFile(path, []byte("no bundle"), 0o644) //nolint:errcheck // Open tells
	if _, err := Open(path); err == nil {
		t.Error("opened what is no bundle")
	}
}
