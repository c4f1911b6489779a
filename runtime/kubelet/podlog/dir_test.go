package podlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoLinkIsFollowed: whoever has the directory of all logs as a volume cannot have this
// process read, write, rename or remove what lies elsewhere.
func TestNoLinkIsFollowed(t *testing.T) {
	secret := "2026-01-02T03:04:05.000000000Z stdout F secret\n"
	for name, plant := range map[string]func(t *testing.T, path, elsewhere string) error{
		"a link for the file": func(_ *testing.T, path, elsewhere string) error {
			return os.Symlink(filepath.Join(elsewhere, "0.log"), path)
		},
		"a link for the container": func(_ *testing.T, path, elsewhere string) error {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				return err
			}
			return os.Symlink(elsewhere, filepath.Dir(path))
		},
		"a link for the pod": func(t *testing.T, path, elsewhere string) error {
			pod := filepath.Dir(filepath.Dir(path))
			if err := os.RemoveAll(pod); err != nil {
				return err
			}
			up := t.TempDir()
			if err := os.Symlink(elsewhere, filepath.Join(up, "c")); err != nil {
				return err
			}
			return os.Symlink(up, pod)
		},
		"a FIFO": func(_ *testing.T, path, _ string) error { return syscall.Mkfifo(path, 0o600) },
		"a link to another pod's log": func(_ *testing.T, path, _ string) error {
			other := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(path))), "other", "c")
			if err := os.MkdirAll(other, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(other, "0.log"), []byte(secret), 0o600); err != nil {
				return err
			}
			return os.Symlink("../../other/c/0.log", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			elsewhere, path := t.TempDir(), filepath.Join(t.TempDir(), "pod", "c", "0.log")
			target := filepath.Join(elsewhere, "0.log")
			if err := os.WriteFile(target, []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := plant(t, path, elsewhere); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := Read(t.Context(), path, Options{Tail: -1}, &out, func() bool { return true }); err == nil || strings.Contains(out.String(), "secret") {
				t.Errorf("it reads %q, %v", &out, err)
			}
			w, err := NewWriter(path, time.Now)
			if err != nil {
				t.Fatalf("what was planted holds up the output: %v", err)
			}
			if err := errors.Join(w.Copy("stdout", strings.NewReader("own\n"), nil), w.Close()); err != nil {
				t.Error(err)
			}
			out.Reset()
			if err := Read(t.Context(), path, Options{Tail: -1}, &out, func() bool { return true }); err != nil || out.String() != "own\n" {
				t.Errorf("then it reads %q, %v", &out, err)
			}
			if err := Remove(path); err != nil {
				t.Error(err)
			}
			if got, err := os.ReadFile(target); err != nil || string(got) != secret {
				t.Errorf("elsewhere is %q, %v", got, err)
			}
		})
	}
}
