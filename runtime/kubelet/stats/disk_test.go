package stats

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWhatOutlivesAPodIsNotItsOwn: the volumes of its claims, on whatever disk they lie.
func TestWhatOutlivesAPodIsNotItsOwn(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"own/a", "volumes/empty-dir/b", "volumes/claim/c", "volumes/claimed/d"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, all := usedBelow(dir)
	_, own := usedBelow(dir, filepath.Join(dir, "volumes", "claim"))
	if all != 10 || own != 8 { // four files, five directories and the top; less a file and its directory
		t.Errorf("of %d files %d are its own", all, own)
	}
}
