package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestEnsureBeneath(t *testing.T) {
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
	top, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	defer syscall.Umask(syscall.Umask(0o077))
	for sub, want := range map[string]string{
		"new": "/new", "a/b/c": "/a/b/c", "there": "/there", "there/x": "/there/x", "in/y": "/there/y", "file": "/file", "a/../new": "/new", ".": "",
		"out": "error", "out/x": "error", "up": "error", "../x": "error", "/x": "error", "": "error", "file/x": "error", "dangling": "error",
	} {
		got := root + "error"
		f, err := EnsureBeneath(top, sub)
		if err == nil {
			if got, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())); err != nil {
				t.Fatal(err)
			}
			f.Close()
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

// TestARaceNeverLeadsOut: whatever happens in a volume while a path in it is opened or
// made, what is opened lies in the volume, and nothing is made elsewhere.
func TestARaceNeverLeadsOut(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	top, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for d := filepath.Join(root, "d"); ; {
			select {
			case <-stop:
				return
			default:
			}
			os.RemoveAll(d)
			_ = os.Symlink(outside, d) // the other side may be faster
			os.Remove(d)
			_ = os.Mkdir(d, 0o755)
		}
	}()
	opened, refused := 0, 0
	for range 2_000_000 {
		f, err := EnsureBeneath(top, "d/e")
		switch {
		case errors.Is(err, ErrEscape):
			refused++
		case err == nil:
			opened++
			at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
			f.Close()
			if err != nil || !strings.HasPrefix(at, root+"/") {
				t.Fatalf("opened is %s, %v", at, err)
			}
		}
		if opened > 500 && refused > 500 {
			break
		}
	}
	close(stop)
	<-stopped
	if opened == 0 || refused == 0 {
		t.Errorf("%d were opened, %d refused: nothing raced", opened, refused)
	}
	if made, err := os.ReadDir(outside); err != nil || len(made) > 0 {
		t.Errorf("outside of the volume are %v, %v", made, err)
	}
}
