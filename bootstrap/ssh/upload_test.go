package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/internal/patience"
)

func large() []byte {
	data := make([]byte, 3<<20+7)
	rand.Read(data) // never fails
	return data
}

// cutUpload uploads to a server that cuts the connection, and returns a new
// connection to one that does not any more, with what came in the staging file.
func cutUpload(t *testing.T, path string, data []byte) (h *Host, staging string) {
	t.Helper()
	s := server(t, func(s *hosttest.SSHD) { s.CutInput.Store(1 << 20) })
	h, err := dial(t, s, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Upload(t.Context(), path, bytes.NewReader(data), 0o755, nil); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("a cut is told as %v", err)
	}
	var left []string
	patience.Until(t, "the server's command ends", func() bool {
		left, _ = filepath.Glob(path + ".*" + newSuffix)
		info, err := os.Stat(strings.Join(left, " "))
		return err == nil && info.Size() == 1<<20
	})
	s.CutInput.Store(0)
	if h, err = dial(t, s, ""); err != nil {
		t.Fatal(err)
	}
	return h, strings.Join(left, " ")
}

func TestAnUploadThatWasCutGoesOnWhereItWas(t *testing.T) {
	path, data := filepath.Join(t.TempDir(), "f"), large()
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	h, _ := cutUpload(t, path, data)
	if old, _ := os.ReadFile(path); string(old) != "old" {
		t.Errorf("after the cut the file is %d bytes", len(old))
	}
	first := int64(0)
	progress := func(n int64) {
		if first == 0 {
			first = n
		}
	}
	if err := h.Upload(t.Context(), path, bytes.NewReader(data), 0o755, progress); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, data) {
		t.Errorf("it is %d bytes, not what was sent", len(got))
	}
	if sent, _ := h.Traffic(); first <= 1<<20 || sent < 2<<20 || sent > 2<<20+200<<10 {
		t.Errorf("progress began at %d, and %d bytes were sent", first, sent)
	}
}

func TestWhatACutLeftIsNotTrusted(t *testing.T) {
	path, data := filepath.Join(t.TempDir(), "f"), large()
	h, staging := cutUpload(t, path, data)
	if err := os.WriteFile(staging, make([]byte, 1<<20), 0o600); err != nil { // as a power cut may leave it
		t.Fatal(err)
	}
	if err := h.Upload(t.Context(), path, bytes.NewReader(data), 0o755, nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, data) {
		t.Error("it is not what was sent")
	}
}

func TestWhatACutLeftOfAnotherContentIsRemoved(t *testing.T) {
	path, data := filepath.Join(t.TempDir(), "f"), large()
	h, staging := cutUpload(t, path, data)
	if err := h.Upload(t.Context(), path, strings.NewReader("another"), 0o644, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(staging); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "another" {
		t.Errorf("it is %d bytes", len(got))
	}
}

// A full disk, here a file that takes nothing, is the host's word and not a lost
// connection.
func TestAnUploadThatTheHostRefusesIsTold(t *testing.T) {
	h, _ := connected(t)
	var failed *host.CommandError
	err := h.Upload(t.Context(), filepath.Join(t.TempDir(), "no", "such", "directory", "f"), bytes.NewReader(large()), 0o644, nil)
	if !errors.As(err, &failed) || !strings.Contains(failed.Stderr, "directory") {
		t.Errorf("got %v", err)
	}
	if err := h.Upload(t.Context(), "f", io.LimitReader(nil, 0), 0o644, nil); err == nil || !strings.Contains(err.Error(), "read twice") {
		t.Errorf("got %v", err)
	}
}

// A slow disk is waited for, and not longer than is asked for.
func TestASlowDisk(t *testing.T) {
	data := large()
	s := server(t, func(s *hosttest.SSHD) { s.SlowInput = 2 * time.Millisecond })
	h, err := dial(t, s, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := h.Upload(t.Context(), path, bytes.NewReader(data), 0o644, nil); err != nil {
		t.Error(err)
	}
	h.commandTimeout = 50 * time.Millisecond
	err = h.Upload(t.Context(), path+"2", bytes.NewReader(data), 0o644, nil)
	if err == nil || !strings.Contains(err.Error(), "command_timeout") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := h.Upload(ctx, path+"3", bytes.NewReader(data), 0o644, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
