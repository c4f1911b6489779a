package containerspec

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSubPath(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	for link, to := range map[string]string{"out": outside, "in": "there", "up": "..", "dangling": "/none"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "there"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o777|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	defer syscall.Umask(syscall.Umask(0o077))
	for sub, want := range map[string]string{
		"new": "/new", "a/b/c": "/a/b/c", "there": "/there", "there/x": "/there/x", "in/y": "/there/y", "file": "/file", "a/../new": "/new", ".": "",
		"out": "error", "out/x": "error", "up": "error", "../x": "error", "/x": "error", "": "error", "file/x": "error", "dangling": "error",
	} {
		got, err := subPath(root, sub)
		if err != nil {
			got = root + "error"
		}
		real, rerr := filepath.EvalSymlinks(root)
		if rerr != nil {
			t.Fatal(rerr)
		}
		if strings.TrimPrefix(got, real) != want && strings.TrimPrefix(got, root) != want {
			t.Errorf("%q is %s, %v, want %s", sub, got, err, want)
		}
	}
	// Who may write the volume may write what is made in it.
	for dir, want := range map[string]os.FileMode{"new": 0o777 | os.ModeDir | os.ModeSetgid, "a": 0o777 | os.ModeDir | os.ModeSetgid, "a/b/c": 0o777 | os.ModeDir | os.ModeSetgid, "there": 0o700 | os.ModeDir} {
		if st, err := os.Stat(filepath.Join(root, dir)); err != nil || st.Mode() != want {
			t.Errorf("%s has mode %v, %v, want %v", dir, st.Mode(), err, want)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside of the volume are %v, %v", entries, err)
	}
}
