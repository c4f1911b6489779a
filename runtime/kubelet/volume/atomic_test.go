package volume

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteReplacesAllAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "v")
	write := func(want bool, files ...File) {
		t.Helper()
		changed, err := Write(dir, files, -1)
		if err != nil {
			t.Fatal(err)
		}
		if changed != want {
			t.Errorf("changed is %t, want %t", changed, want)
		}
	}
	a, b := File{Path: "a", Data: []byte("1"), Mode: 0o644}, File{Path: "d/b", Data: []byte("2"), Mode: 0o400}
	write(true, a, b)
	write(false, b, a)
	first, _ := os.Readlink(filepath.Join(dir, dataLink))
	write(true, File{Path: "a", Data: []byte("3"), Mode: 0o644})
	if second, _ := os.Readlink(filepath.Join(dir, dataLink)); second == first {
		t.Error("the content was changed in place")
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "a")); string(got) != "3" {
		t.Errorf("a is %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "d")); !os.IsNotExist(err) {
		t.Errorf("a file that is no longer wanted is still there: %v", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 3 { // a, ..data and its directory
		t.Errorf("%d entries are left, want 3: %v", len(entries), entries)
	}
	write(true, File{Path: "a", Data: []byte("3"), Mode: 0o600})
	if st, _ := os.Stat(filepath.Join(dir, "a")); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
}

func TestWriteRefusesPathsOutOfTheVolume(t *testing.T) {
	for _, p := range []string{"../x", "/x", "a/../../x", "..data", ""} {
		if _, err := Write(t.TempDir(), []File{{Path: p}}, -1); err == nil {
			t.Errorf("%q is accepted", p)
		}
	}
}
