//go:build lab

package mount

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace runs do as root of a mount namespace of its own, in which everything is
// shared as it is on a server, and with a tmpfs to play in.
func inNamespace(t *testing.T, do func(dir string) error) {
	t.Helper()
	dir, done := t.TempDir(), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with its namespace
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
				return err
			}
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
				return err
			}
			if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
				return err
			}
			return do(dir)
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func mountPoints(below string) ([]string, error) {
	points, err := mountsOfThread(below)
	slices.Sort(points)
	return points, err
}

// mountsOfThread reads the table of this thread's namespace; /proc/self is the process's.
func mountsOfThread(below string) ([]string, error) {
	table, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(table)) {
		if at := strings.Fields(line)[4]; at == below || strings.HasPrefix(at, below+"/") {
			points = append(points, strings.TrimPrefix(at, below))
		}
	}
	return points, nil
}

// TestBinds: what is bound is what was opened, whatever is at the path by now; nothing of
// it shows in the volume that it comes from, and unmounting it unmounts nothing there.
func TestBinds(t *testing.T) {
	inNamespace(t, func(dir string) error {
		b, source := Binds{Dir: filepath.Join(dir, "binds")}, filepath.Join(dir, "source")
		for range 2 { // the second time it is there
			if err := b.Make(); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(source, "below"), 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", filepath.Join(source, "below"), "tmpfs", 0, ""); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(source, "file"), []byte("right"), 0o644); err != nil {
			return err
		}
		file, err := OpenBeneath(open(t, source), "file")
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(source, "file"), filepath.Join(source, "moved")); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(source, "file"), []byte("wrong"), 0o644); err != nil {
			return err
		}
		for _, p := range []uint64{unix.MS_PRIVATE, unix.MS_SLAVE, unix.MS_SHARED} {
			whole := open(t, dir)
			for range 2 { // the second time in place of the first
				at, err := b.Bind(file, "uid", "c", 0, Tree{Propagation: p})
				if err != nil {
					return err
				}
				if got, err := os.ReadFile(at); err != nil || string(got) != "right" {
					t.Errorf("bound is %q, %v", got, err)
				}
				at, err = b.Bind(whole, "uid", "c", 1, Tree{Propagation: p, Recursive: true})
				if err != nil {
					return err
				}
				if got, err := mountPoints(at); err != nil || !slices.Equal(got, []string{"", "/source/below"}) {
					t.Errorf("in the bound tree are %q, %v: the binds themselves must not be", got, err)
				}
				if _, err := b.Bind(whole, "uid", "d", 0, Tree{Propagation: p}); err != nil {
					return err
				}
			}
			if got, err := mountPoints(b.Dir); err != nil || !slices.Equal(got, []string{"", "/uid/c/0", "/uid/c/1", "/uid/c/1/source/below", "/uid/d/0"}) {
				t.Errorf("mounted are %q, %v", got, err)
			}
			if err := b.Release("uid", "c"); err != nil {
				return err
			}
			if got, err := mountPoints(b.Dir); err != nil || !slices.Equal(got, []string{"", "/uid/d/0"}) {
				t.Errorf("after the container are %q, %v", got, err)
			}
			for range 2 {
				if err := b.ReleasePod("uid"); err != nil {
					return err
				}
			}
			if got, err := mountPoints(dir); err != nil || !slices.Equal(got, []string{"", "/binds", "/source/below"}) {
				t.Errorf("after the pod are %q, %v", got, err)
			}
			if _, err := os.Stat(filepath.Join(b.Dir, "uid")); !os.IsNotExist(err) {
				t.Errorf("the pod's directory: %v", err)
			}
		}
		return nil
	})
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Error(err)
	}
	return f
}
