package podlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Options choose what of a log is read, as kubectl logs has them.
type Options struct {
	Follow     bool
	Tail       int64 // lines from the end; negative: all
	Since      time.Time
	Timestamps bool
	Limit      int64  // bytes of text; 0: no limit
	Stream     string // "stdout", "stderr" or "" for both
}

// pollInterval is how often a followed log is looked at. Only logs that somebody
// follows are.
const pollInterval = 100 * time.Millisecond

// entry is one parsed line.
type entry struct {
	time   time.Time
	stream []byte
	full   bool
	text   []byte
}

func parse(line []byte) (entry, error) {
	f := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 4)
	if len(f) != 4 {
		return entry{}, fmt.Errorf("%q is no log line", line)
	}
	t, err := time.Parse(timeFormat, string(f[0]))
	if err != nil {
		return entry{}, err
	}
	return entry{time: t, stream: f[1], full: len(f[2]) == 1 && f[2][0] == 'F', text: f[3]}, nil
}

// Read writes the log at path to out. Following ends with ctx, or when ended
// says that the container will write no more and all is read.
func Read(ctx context.Context, path string, o Options, out io.Writer, ended func() bool) error {
	d, err := openDir(path)
	if err != nil {
		return fmt.Errorf("open the container log: %w", err)
	}
	defer d.Close()
	name := filepath.Base(path)
	f, err := d.open(name, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("open the container log: %w", err)
	}
	defer func() { f.Close() }()
	if o.Tail >= 0 {
		offset, err := tailOffset(f, o.Tail)
		if err != nil {
			return err
		}
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return err
		}
	}
	p := printer{o: o, out: out, left: o.Limit, lineStart: map[string]bool{"stdout": true, "stderr": true}}
	r := bufio.NewReaderSize(f, 32<<10)
	var partial []byte
	for {
		// Asked before reading: what was written before the end is then read.
		last := !o.Follow || ended()
		for {
			chunk, err := r.ReadBytes('\n')
			partial = append(partial, chunk...)
			if err == nil {
				if done, err := p.print(partial); done || err != nil {
					return err
				}
				partial = partial[:0]
				continue
			}
			if errors.Is(err, io.EOF) {
				break
			}
			return err
		}
		if fl, ok := out.(interface{ Flush() }); ok {
			fl.Flush()
		}
		// A rotated file is done only when a new one stands in its place and this
		// one was read to its end after that.
		following, err := next(d, f, name)
		if err != nil {
			return err
		}
		if following != nil {
			if rest, _ := r.Peek(1); len(rest) > 0 {
				following.Close()
				continue
			}
			f.Close()
			f, r = following, bufio.NewReaderSize(following, 32<<10)
			continue
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollInterval):
		}
	}
}

// next returns the file that follows f, if f was rotated: more than one rotation may
// have gone by since it was looked at last.
func next(d dir, f *os.File, name string) (*os.File, error) {
	if current, err := d.is(f, name); err != nil || current {
		return nil, nil //nolint:nilerr // between rename and create: look again
	}
	files, err := d.rotated(name)
	if err != nil {
		return nil, err
	}
	files = append(files, name)
	for i, old := range files[:len(files)-1] {
		if same, err := d.is(f, old); err == nil && same {
			return d.open(files[i+1], os.O_RDONLY, 0)
		}
	}
	return d.open(files[0], os.O_RDONLY, 0) // f was removed as the oldest: go on with what there is
}

type printer struct {
	o         Options
	out       io.Writer
	left      int64
	lineStart map[string]bool
}

func (p *printer) print(line []byte) (done bool, err error) {
	e, err := parse(line)
	if err != nil {
		return false, nil //nolint:nilerr // a line torn by a power cut must not hide the rest
	}
	if e.time.Before(p.o.Since) || (p.o.Stream != "" && p.o.Stream != string(e.stream)) {
		return false, nil
	}
	var b []byte
	if p.o.Timestamps && p.lineStart[string(e.stream)] {
		b = append(e.time.AppendFormat(b, timeFormat), ' ')
	}
	b = append(b, e.text...)
	if e.full {
		b = append(b, '\n')
	}
	p.lineStart[string(e.stream)] = e.full
	if p.o.Limit > 0 {
		if int64(len(b)) >= p.left {
			b, done = b[:p.left], true
		}
		p.left -= int64(len(b))
	}
	_, err = p.out.Write(b)
	return done, err
}

// tailOffset finds where the last n lines begin, reading blocks from the end.
func tailOffset(f io.ReadSeeker, n int64) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return size, err
	}
	const block = 16 << 10
	buf := make([]byte, block)
	seen := int64(0)
	for end := size; end > 0; {
		start := max(end-block, 0)
		if _, err := f.Seek(start, io.SeekStart); err != nil {
			return 0, err
		}
		b := buf[:end-start]
		if _, err := io.ReadFull(f, b); err != nil {
			return 0, err
		}
		for i := len(b) - 1; i >= 0; i-- {
			if b[i] != '\n' || start+int64(i) == size-1 {
				continue
			}
			if seen++; seen == n {
				return start + int64(i) + 1, nil
			}
		}
		end = start
	}
	return 0, nil
}
