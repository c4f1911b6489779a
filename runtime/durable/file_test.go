package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gantry-run/gantry/runtime/durable"
	"github.com/gantry-run/gantry/runtime/durable/crashtest"
)

// TestWriteFileSurvivesCrashes: at each moment the file has the old content or the new
// one, and once WriteFile has returned, the new one.
func TestWriteFileSurvivesCrashes(t *testing.T) {
	dir := t.TempDir()
	disk := crashtest.New(dir)
	for _, content := range []string{"old content", "new content, and more"} {
		if err := durable.WriteFile(disk, filepath.Join(dir, "f"), []byte(content), durable.Attributes{Mode: 0o640}); err != nil {
			t.Fatal(err)
		}
		disk.Mark()
	}
	allowed := []map[string]bool{
		{"": true, "old content": true},
		{"old content": true, "new content, and more": true},
		{"new content, and more": true},
	}
	crashes := 0
	for crash, err := range disk.Crashes(t.TempDir()) {
		if err != nil {
			t.Fatal(err)
		}
		crashes++
		data, err := os.ReadFile(filepath.Join(crash.Dir, "f"))
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && crash.Marks == 0) {
			t.Errorf("%v: %v", crash, err)
		}
		if err == nil && (len(data) == 0 || !allowed[crash.Marks][string(data)]) {
			t.Errorf("%v: the file holds %q", crash, data)
		}
		if info, err := os.Stat(filepath.Join(crash.Dir, "f")); err == nil && info.Mode().Perm() != 0o640 {
			t.Errorf("%v: its mode is %v", crash, info.Mode())
		}
		// What the crash left does not stand in the way.
		if err := durable.WriteFile(durable.OS{}, filepath.Join(crash.Dir, "f"), []byte("x"), durable.Attributes{Mode: 0o600}); err != nil {
			t.Errorf("%v: it cannot be written again: %v", crash, err)
		}
	}
	if crashes < 20 {
		t.Errorf("only %d states were tried", crashes)
	}
}

// TestTheModelFindsWhatIsMissing: writers that leave out a step are found.
func TestTheModelFindsWhatIsMissing(t *testing.T) {
	for name, broken := range map[string]func(durable.FS) durable.FS{
		"no sync of the file":      func(d durable.FS) durable.FS { return lazy{d, true, false} },
		"no sync of the directory": func(d durable.FS) durable.FS { return lazy{d, false, true} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk := crashtest.New(dir)
			if err := durable.WriteFile(broken(disk), filepath.Join(dir, "f"), []byte("content"), durable.Attributes{Mode: 0o600}); err != nil {
				t.Fatal(err)
			}
			disk.Mark()
			for crash, err := range disk.Crashes(t.TempDir()) {
				if err != nil {
					t.Fatal(err)
				}
				if data, err := os.ReadFile(filepath.Join(crash.Dir, "f")); crash.Marks == 1 && (err != nil || string(data) != "content") {
					return
				}
			}
			t.Error("no state is without what was written")
		})
	}
}

// lazy leaves out what makes files durable.
type lazy struct {
	durable.FS
	file, dir bool
}

func (l lazy) Create(path string) (durable.File, error) {
	f, err := l.FS.Create(path)
	if l.file {
		return lazyFile{f}, err
	}
	return f, err
}

func (l lazy) Sync(dir string) error {
	if l.dir {
		return nil
	}
	return l.FS.Sync(dir)
}

type lazyFile struct{ durable.File }

func (lazyFile) Sync() error { return nil }

// TestAFailedWriteLeavesNothing: a full disk leaves the old file, and no other.
func TestAFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	if err := durable.WriteFile(failing{durable.OS{}, full}, path, []byte("new"), durable.Attributes{Mode: 0o600}); !errors.Is(err, full) {
		t.Errorf("the error is %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("the file holds %q (%v)", data, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v (%v)", entries, err)
	}
}

type failing struct {
	durable.FS
	err error
}

func (f failing) Create(path string) (durable.File, error) {
	file, err := f.FS.Create(path)
	return failingFile{file, f.err}, err
}

type failingFile struct {
	durable.File
	err error
}

func (f failingFile) Write([]byte) (int, error) { return 0, f.err }

// TestOwner: only who is told to changes the owner.
func TestOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	a := durable.Attributes{Mode: 0o644, Owned: true, Owner: os.Getuid(), Group: os.Getgid()}
	if err := durable.WriteFile(durable.OS{}, path, nil, a); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	if err := durable.MakeDir(durable.OS{}, filepath.Join(filepath.Dir(path), "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.MakeDir(durable.OS{}, filepath.Join(filepath.Dir(path), "d"), 0o700); err != nil {
		t.Errorf("a directory that is there: %v", err)
	}
}
