// Package podlog is the format of container logs: the lines that kubectl logs
// and log shippers read below /var/log/pods, their rotation, and reading them
// back. It imports nothing of ours.
//
// A line is "<RFC 3339 time> <stdout|stderr> <F|P> <text>"; P marks a part of a
// line that was too long or not ended yet.
package podlog

import (
	"bytes"
	"fmt"
	"io"
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
	f        *os.File
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
	if w.size > 0 && w.size+int64(len(b)) > w.maxSize {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	n, err := w.f.Write(b)
	w.size += int64(n)
	return err
}

// rotate renames the current file and removes the oldest ones. A reader that
// follows sees the rename and goes on with the new file.
func (w *Writer) rotate() error {
	if err := w.f.Close(); err != nil {
		return err
	}
	d, err := makeDir(w.path)
	if err != nil {
		return fmt.Errorf("rotate the container log: %w", err)
	}
	defer d.Close()
	name := filepath.Base(w.path)
	if err := d.rename(name, name+"."+w.now().UTC().Format("20060102-150405.000000000")); err != nil {
		return fmt.Errorf("rotate the container log: %w", err)
	}
	old, err := d.rotated(name)
	if err != nil {
		return err
	}
	for len(old) > w.maxFiles-1 {
		if err := d.remove(old[0]); err != nil {
			return err
		}
		old = old[1:]
	}
	return w.open()
}

// Close closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.f.Close()
}

// Copy writes lines of stream ("stdout" or "stderr") until r ends. tee, when not
// nil, sees the raw bytes too. What has no newline is written as a part when r
// ends, so that nothing read is ever lost.
func (w *Writer) Copy(stream string, r io.Reader, tee func([]byte)) error {
	buf := make([]byte, 0, 4<<10)
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
			if werr := w.line(stream, rest[:end], full); werr != nil {
				return werr
			}
			if full {
				end++
			}
			rest = rest[end:]
		}
		buf = buf[:copy(buf, rest)]
		if err != nil {
			if len(buf) > 0 {
				if werr := w.line(stream, buf, false); werr != nil {
					return werr
				}
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
