// Package podlog is the format of container logs: the lines that kubectl logs
// and log shippers read below /var/log/pods, their rotation, and reading them
// back. It imports nothing of ours.
//
// A line is "<RFC 3339 time> <stdout|stderr> <F|P> <text>"; P marks a part of a
// line that was too long or not ended yet.
package podlog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Limits of one container's log on disk.
const (
	MaxSize  = 10 << 20 // bytes of the current file before it is rotated
	MaxFiles = 5        // files of one container, the current one included
	maxLine  = 16 << 10 // bytes; longer lines are written in parts
)

const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// Writer writes one container's log. It is safe for its two streams at once.
type Writer struct {
	mu       sync.Mutex
	path     string
	maxSize  int64
	maxFiles int
	now      func() time.Time
	f        *os.File // nil: to be opened by the next line
	size     int64
	buf      []byte
}

// NewWriter opens the log for appending.
func NewWriter(path string, now func() time.Time) (*Writer, error) {
	w := &Writer{path: path, maxSize: MaxSize, maxFiles: MaxFiles, now: now}
	return w, w.open()
}

func (w *Writer) open() error {
	d, err := makeDir(w.path)
	if err != nil {
		return fmt.Errorf("make the log directory: %w", err)
	}
	defer d.Close()
	f, err := d.append(filepath.Base(w.path))
	if err != nil {
		return fmt.Errorf("open the container log: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	w.f, w.size = f, st.Size()
	return nil
}

// line appends one line or part of it.
func (w *Writer) line(stream string, text []byte, full bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	tag := byte('P')
	if full {
		tag = 'F'
	}
	b := w.now().UTC().AppendFormat(w.buf[:0], timeFormat)
	b = append(b, ' ')
	b = append(b, stream...)
	b = append(b, ' ', tag, ' ')
	b = append(b, text...)
	b = append(b, '\n')
	w.buf = b
	var rotated error
	if w.f != nil && w.size > 0 && w.size+int64(len(b)) > w.maxSize {
		if err := w.rotate(); err != nil {
			rotated = fmt.Errorf("rotate the container log: %w", err) // the line is written all the same
		}
	}
	if w.f == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	n, err := w.f.Write(b)
	if err == nil {
		w.size += int64(n)
		return rotated
	}
	if end, serr := w.f.Seek(0, io.SeekCurrent); n > 0 && serr == nil {
		w.f.Truncate(end - int64(n)) //nolint:errcheck // half a line would be taken for the next one's beginning
	}
	w.shut()
	return err
}

// rotate renames the current file and removes the oldest ones. A reader that
// follows sees the rename and goes on with the new file, which the next line opens.
func (w *Writer) rotate() error {
	w.shut()
	d, err := makeDir(w.path)
	if err != nil {
		return err
	}
	defer d.Close()
	name := filepath.Base(w.path)
	// One that somebody removed has made room itself.
	if err := d.rename(name, name+"."+w.now().UTC().Format("20060102-150405.000000000")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old, err := d.rotated(name)
	if err != nil {
		return err
	}
	var errs []error
	for len(old) > w.maxFiles-1 {
		errs = append(errs, d.remove(old[0]))
		old = old[1:]
	}
	return errors.Join(errs...)
}

// shut closes the file, which the next line opens again.
func (w *Writer) shut() {
	w.f.Close()
	w.f = nil
}

// Close closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return nil
	}
	return w.f.Close()
}

// Copy writes lines of stream ("stdout" or "stderr") until r ends. tee, when not
// nil, sees the raw bytes too. What has no newline is written as a part when r
// ends, so that nothing read is ever lost. A line that cannot be written is: the first
// error is returned in the end, and the lines behind it are tried.
func (w *Writer) Copy(stream string, r io.Reader, tee func([]byte)) error {
	buf := make([]byte, 0, 4<<10)
	var failed error
	line := func(text []byte, full bool) {
		if err := w.line(stream, text, full); err != nil {
			failed = cmp.Or(failed, err)
		}
	}
	for {
		if len(buf) == cap(buf) { // a long line: grow up to maxLine
			buf = append(make([]byte, 0, min(2*cap(buf), 2*maxLine)), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		if n > 0 && tee != nil {
			tee(buf[len(buf) : len(buf)+n])
		}
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			i := bytes.IndexByte(rest, '\n')
			full := i >= 0 && i <= maxLine
			if !full && len(rest) < maxLine {
				break
			}
			end := maxLine
			if full {
				end = i
			}
			line(rest[:end], full)
			if full {
				end++
			}
			rest = rest[end:]
		}
		buf = buf[:copy(buf, rest)]
		if err != nil {
			if len(buf) > 0 {
				line(buf, false)
			}
			if err == io.EOF {
				return failed
			}
			return errors.Join(failed, err)
		}
	}
}
