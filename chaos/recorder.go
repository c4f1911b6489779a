package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
)

// recorder writes the history as it happens.
type recorder struct {
	start time.Time

	mu   sync.Mutex
	file *os.File
	to   *bufio.Writer
	err  error
}

func newRecorder(path string) (*recorder, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &recorder{start: time.Now(), file: f, to: bufio.NewWriter(f)}, nil
}

// now is the time since the beginning of the run.
func (r *recorder) now() time.Duration { return time.Since(r.start) }

// at is when something was by the wall clock, which the hosts share with this program.
func (r *recorder) at(t time.Time) time.Duration { return t.Sub(r.start.Round(0)) }

func (r *recorder) add(l judge.Line) {
	data, err := json.Marshal(l)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	if r.err = err; err == nil {
		_, r.err = r.to.Write(append(data, '\n'))
	}
}

func (r *recorder) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.err, r.to.Flush(), r.file.Close())
}
