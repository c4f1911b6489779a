package podlog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gantry-run/gantry/internal/patience"
)

func newTestWriter(t *testing.T) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c", "0.log")
	tick := time.Unix(1_800_000_000, 0)
	w, err := NewWriter(path, func() time.Time { tick = tick.Add(time.Second); return tick })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w, path
}

func read(t *testing.T, path string, o Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Read(context.Background(), path, o, &out, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What goes in comes out, however it is cut into reads and lines.
func TestWhatIsWrittenIsRead(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine+17)
	for name, text := range map[string]string{
		"lines": "a\nb\n\nc\n", "no newline at the end": "a\nb", "a long line": long + "\nz\n", "exactly one part": strings.Repeat("y", maxLine) + "\n", "empty": "",
	} {
		for kind, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "halves": iotest.HalfReader} {
			w, path := newTestWriter(t)
			if err := w.Copy("stdout", wrap(strings.NewReader(text)), nil); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path, Options{Tail: -1}); got != text {
				t.Errorf("%s, %s: %d bytes come out, want %d", name, kind, len(got), len(text))
			}
		}
	}
}

func TestFormatAndOptions(t *testing.T) {
	w, path := newTestWriter(t)
	for i := range 5 {
		if err := w.Copy([]string{"stdout", "stderr"}[i%2], strings.NewReader(fmt.Sprintf("line %d\n", i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	raw, _ := os.ReadFile(path)
	if first := strings.SplitN(string(raw), "\n", 2)[0]; first != "2027-01-15T08:00:01.000000000Z stdout F line 0" {
		t.Errorf("the first line is %q", first)
	}
	for want, o := range map[string]Options{
		"line 3\nline 4\n": {Tail: 2},
		"":                 {Tail: 0},
		"line 1\nline 3\n": {Tail: -1, Stream: "stderr"},
		"line 4\n":         {Tail: -1, Since: time.Unix(1_800_000_005, 0)},
		"line 0\nlin":      {Tail: -1, Limit: 10},
		"2027-01-15T08:00:05.000000000Z line 4\n": {Tail: 1, Timestamps: true},
	} {
		if got := read(t, path, o); got != want {
			t.Errorf("%+v gives %q, want %q", o, got, want)
		}
	}
}

func TestRotation(t *testing.T) {
	w, path := newTestWriter(t)
	w.maxSize, w.maxFiles = 1000, 3
	for i := range 200 {
		if err := w.Copy("stdout", strings.NewReader(fmt.Sprintf("%04d\n", i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(path + "*")
	if len(files) != 3 {
		t.Errorf("%d files are kept, want 3", len(files))
	}
	for _, f := range files {
		if st, _ := os.Stat(f); st.Size() > 1000 {
			t.Errorf("%s has %d bytes, more than 1000", f, st.Size())
		}
	}
	if got := read(t, path, Options{Tail: 1}); got != "0199\n" {
		t.Errorf("the last line is %q", got)
	}
}

// A follower sees every line once, in order, across rotations.
func TestFollowAcrossRotation(t *testing.T) {
	w, path := newTestWriter(t)
	w.maxSize, w.maxFiles = 2000, 100
	done := make(chan struct{})
	var out bytes.Buffer
	go func() {
		defer close(done)
		end := false
		err := Read(context.Background(), path, Options{Follow: true, Tail: -1}, &out, func() bool {
			was := end
			end = strings.HasSuffix(out.String(), "0299\n")
			return was
		})
		if err != nil {
			t.Error(err)
		}
	}()
	var want strings.Builder
	for i := range 300 {
		line := fmt.Sprintf("%04d\n", i)
		want.WriteString(line)
		if err := w.Copy("stdout", strings.NewReader(line), nil); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			time.Sleep(120 * time.Millisecond / 4)
		}
	}
	patience.Receive(t, "the follower ends", done)
	if out.String() != want.String() {
		t.Errorf("%d bytes were followed, want %d", out.Len(), want.Len())
	}
}
