package podlog

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"3.log", "3.log.20260101-000000", "4.log", "33.log"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time nothing is there
		if err := Remove(filepath.Join(dir, "3.log")); err != nil {
			t.Error(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if !slices.Equal(left, []string{"33.log", "4.log"}) {
		t.Errorf("left are %v", left)
	}
	for _, path := range []string{"", "3.log"} {
		if err := Remove(path); err == nil {
			t.Errorf("%q is taken for the path of a log", path)
		}
	}
}
