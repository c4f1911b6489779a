package hostclean

import (
	"os"
	"path/filepath"
	"testing"
)

func TestVolumesAreRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volumes")
	put := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := func(path string) bool {
		_, err := os.Lstat(filepath.Join(dir, path))
		return err == nil
	}
	if err := RemoveVolumes(dir); err != nil {
		t.Fatalf("of nothing: %v", err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put("pvc-1/data")
	put("pvc-2.removing/a/b")
	put("theirs/data")
	if err := os.Symlink(outside, filepath.Join(dir, "pvc-1", "link")); err != nil {
		t.Fatal(err)
	}
	if err := RemoveVolumes(dir); err != nil || there("pvc-1") || there("pvc-2.removing") || !there("theirs/data") {
		t.Errorf("%v: what is others' must stay, and what is ours go", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "theirs")); err != nil {
		t.Fatal(err)
	}
	if err := RemoveVolumes(dir); err != nil || there(".") {
		t.Errorf("the empty directory stays: %v", err)
	}
}
