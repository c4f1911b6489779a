package podlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOutputGoesOn: whatever becomes of the files meanwhile, later lines are written.
func TestOutputGoesOn(t *testing.T) {
	for what, trouble := range map[string]func(w *Writer, path string) error{
		"the log is removed":           func(_ *Writer, path string) error { return os.Remove(path) },
		"its directory is removed":     func(_ *Writer, path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"a directory in its place":     func(_ *Writer, path string) error { return errors.Join(os.Remove(path), plantDir(path)) },
		"a directory among its oldest": func(_ *Writer, path string) error { return plantDir(path + ".0") },
	} {
		t.Run(what, func(t *testing.T) {
			w, path := newTestWriter(t)
			w.maxSize, w.maxFiles = 200, 2
			write := func(from int) error {
				var err error
				for i := range 20 {
					err = errors.Join(err, w.Copy("stdout", strings.NewReader(fmt.Sprintf("%04d\n", from+i)), nil))
				}
				return err
			}
			if err := errors.Join(write(0), trouble(w, path)); err != nil {
				t.Fatal(err)
			}
			if err := write(100); err != nil {
				t.Error(err)
			}
			if got := read(t, path, Options{Tail: 2}); got != "0118\n0119\n" {
				t.Errorf("the last lines are %q", got)
			}
			if files, err := filepath.Glob(path + "*"); err != nil || len(files) > 2 {
				t.Errorf("kept are %v, %v", files, err)
			}
		})
	}
}

// A line that cannot be written ends neither the copy nor the lines behind it.
func TestALineThatCannotBeWritten(t *testing.T) {
	w, path := newTestWriter(t)
	if err := w.f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Copy("stdout", strings.NewReader("lost\nb\nc\n"), nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
	if got := read(t, path, Options{Tail: -1}); got != "b\nc\n" {
		t.Errorf("written is %q", got)
	}
}

func plantDir(path string) error {
	return errors.Join(os.Mkdir(path, 0o755), os.WriteFile(filepath.Join(path, "full"), nil, 0o600))
}

// A directory in the place of a log that is to be made is moved away, also that of the
// next start.
func TestAPlantedDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pod", "c", "1.log")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), plantDir(path)); err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Copy("stdout", strings.NewReader("own\n"), nil), w.Close()); err != nil {
		t.Error(err)
	}
	if got := read(t, path, Options{Tail: -1}); got != "own\n" {
		t.Errorf("%q", got)
	}
	if err := errors.Join(plantDir(path+".0"), Remove(path)); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
