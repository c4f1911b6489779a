package provider

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAPrivateFileIsThereWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sub", "kubeconfig")
	for _, content := range []string{"first, and longer", "second"} {
		if err := writePrivate(file, []byte(content)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil || string(data) != content || info.Mode().Perm() != 0o600 {
			t.Errorf("%q, %v, %v, %v", data, info.Mode(), err, statErr)
		}
	}
	// What cannot take its place leaves nothing behind.
	if err := writePrivate(filepath.Join(dir, "sub"), []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if err := writePrivate(filepath.Join(file, "x"), []byte("x")); err == nil {
		t.Error("it was written below a file")
	}
	for _, d := range []string{dir, filepath.Join(dir, "sub")} {
		if entries, err := os.ReadDir(d); err != nil || len(entries) != 1 {
			t.Errorf("%s holds %v, %v", d, entries, err)
		}
	}
}
