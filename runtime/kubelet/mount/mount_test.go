package mount

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBelow(t *testing.T) {
	var table Table
	proc, err := table.Below("/proc")
	if err != nil || !slices.Contains(proc, "/proc") || slices.Contains(proc, "/") || slices.Contains(proc, "/sys") {
		t.Errorf("below /proc is %v, %v", proc, err)
	}
	for _, top := range []string{"/proc", "/sys", "/dev"} {
		all, err := table.Below(top)
		if err != nil {
			t.Fatal(err)
		}
		for i, outer := range all {
			for _, inner := range all[i+1:] {
				if strings.HasPrefix(inner, outer+"/") {
					t.Errorf("%s would be unmounted before %s, which is in it", outer, inner)
				}
			}
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/proc", link); err != nil {
		t.Fatal(err)
	}
	if proc, err := table.Below(link); err != nil || !slices.Contains(proc, "/proc") {
		t.Errorf("through a symlink: %v, %v", proc, err)
	}
	if none, err := table.Below(filepath.Join(t.TempDir(), "none")); err != nil || len(none) > 0 {
		t.Errorf("below a directory that does not exist: %v, %v", none, err)
	}
	if none, err := table.Below(t.TempDir()); err != nil || len(none) > 0 {
		t.Errorf("below a plain directory: %v, %v", none, err)
	}
}

func TestRemoveAllKeepsWhatIsMounted(t *testing.T) {
	var table Table
	if err := table.RemoveAll("/proc"); err == nil {
		t.Fatal("/proc is removed")
	}
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.MkdirAll(filepath.Join(dir, "e"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is there
		if err := table.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a plain directory stays: %v", err)
	}
}

func TestIsTmpfs(t *testing.T) {
	var table Table
	if table.IsTmpfs("/proc") || table.IsTmpfs(t.TempDir()) {
		t.Error("what is no tmpfs, or no mount, is taken for a tmpfs")
	}
	if err := table.Unmount(t.TempDir()); err != nil {
		t.Errorf("to unmount nothing is %v", err)
	}
}
