package podlog

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzRead: a log file of any content (a disk that was full, a power cut in the middle
// of a line) is read to its end without a panic, and a tail never shows more lines than
// were asked for.
func FuzzRead(f *testing.F) {
	f.Add([]byte("2026-01-01T00:00:00.000000000Z stdout F hello\n2026-01-01T00:00:00.000000000Z stderr P part\n"), int64(1))
	f.Add([]byte("\n\n\x00\x00\x00"), int64(0))
	f.Add([]byte("2026-01-01T00:00:00.000000000Z stdout"), int64(-1))
	f.Fuzz(func(t *testing.T, content []byte, tail int64) {
		path := filepath.Join(t.TempDir(), "0.log")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err := Read(t.Context(), path, Options{Tail: tail}, &out, func() bool { return true })
		if err == nil && tail == 0 && out.Len() > 0 {
			t.Errorf("a tail of no line is %q", out.Bytes())
		}
		if out.Len() > len(content) {
			t.Errorf("%d bytes of text in a file of %d", out.Len(), len(content))
		}
	})
}

// FuzzWriteRead: what a container writes, in chunks of any size, is what a reader sees.
func FuzzWriteRead(f *testing.F) {
	f.Add([]byte("hello\nworld\n"))
	f.Add([]byte("no newline"))
	f.Add(bytes.Repeat([]byte("x"), 40_000))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "0.log")
		w, err := NewWriter(path, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Copy("stdout", bytes.NewReader(text), nil); err != nil {
			t.Fatal(err)
		}
		w.Close()
		var out bytes.Buffer
		if err := Read(t.Context(), path, Options{Tail: -1}, &out, func() bool { return true }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), text) && !bytes.Equal(out.Bytes(), append(bytes.Clone(text), '\n')) {
			t.Errorf("wrote %q, read %q", text, out.Bytes())
		}
	})
}
