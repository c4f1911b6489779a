package volume

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestWriteMendsWhatACrashLeft: whatever a crash left of a write, the next one makes the
// volume hold exactly its files, and nothing else.
func TestWriteMendsWhatACrashLeft(t *testing.T) {
	old := []File{{Path: "a", Data: []byte("old"), Mode: 0o644}, {Path: "gone", Data: []byte("x"), Mode: 0o644}}
	next := []File{{Path: "a", Data: []byte("new"), Mode: 0o644}, {Path: "b/c", Data: []byte("more"), Mode: 0o600}}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, crash := range map[string]func(dir string){
		"before anything": func(string) {},
		"with half of the files": func(dir string) {
			do(os.MkdirAll(filepath.Join(dir, "..v1"), 0o755))
			do(os.WriteFile(filepath.Join(dir, "..v1", "a"), []byte("ne"), 0o644))
		},
		"before the rename": func(dir string) {
			do(os.Mkdir(filepath.Join(dir, "..v1"), 0o755))
			do(os.Symlink("..v1", filepath.Join(dir, "..data_tmp")))
		},
		"before names are visible": func(dir string) {
			_, err := Write(dir, next, -1)
			do(err)
			do(os.Remove(filepath.Join(dir, "a")))
			do(os.Remove(filepath.Join(dir, "b")))
			do(os.Symlink("..data/gone", filepath.Join(dir, "gone")))
		},
		"before the old content is removed": func(dir string) {
			_, err := Write(dir, next, -1)
			do(err)
			do(os.Mkdir(filepath.Join(dir, "..vold"), 0o755))
		},
		"without the data of the files": func(dir string) {
			_, err := Write(dir, next, -1)
			do(err)
			do(os.Truncate(filepath.Join(dir, "..data", "a"), 0))
		},
		"without the current content": func(dir string) {
			current, err := os.Readlink(filepath.Join(dir, "..data"))
			do(err)
			do(os.RemoveAll(filepath.Join(dir, current)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Write(dir, old, -1)
			do(err)
			crash(dir)
			_, err = Write(dir, next, -1)
			do(err)
			for _, f := range next {
				if data, err := os.ReadFile(filepath.Join(dir, f.Path)); err != nil || string(data) != string(f.Data) {
					t.Errorf("%s holds %q (%v)", f.Path, data, err)
				}
			}
			current, err := os.Readlink(filepath.Join(dir, "..data"))
			do(err)
			entries, err := os.ReadDir(dir)
			do(err)
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if want := []string{"..data", current, "a", "b"}; !slices.Equal(names, want) {
				t.Errorf("the volume has %v, want %v", names, want)
			}
		})
	}
}
