package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podlog"
)

func (s *Server) serveLogs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	o, err := logOptions(q.Get, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, err := s.find(r, q.Get("previous") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if c.State == container.StateExited {
		o.Follow = false
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	ended := func() bool { return !s.cfg.Workers.Running(c.Pod.UID, c.ID) }
	out := &flusher{w: w}
	if err := podlog.Read(r.Context(), c.LogPath, o, out, ended); err != nil && !out.wrote {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// flusher sends what was written when the reader pauses.
type flusher struct {
	w     http.ResponseWriter
	wrote bool
}

func (f *flusher) Write(b []byte) (int, error) { f.wrote = true; return f.w.Write(b) }
func (f *flusher) Flush() {
	http.NewResponseController(f.w).Flush() // the next write fails too
}

// logOptions reads the parameters of a request for logs.
func logOptions(get func(string) string, now time.Time) (podlog.Options, error) {
	o := podlog.Options{Tail: -1, Follow: get("follow") == "true", Timestamps: get("timestamps") == "true"}
	number := func(name string, into *int64) error {
		v := get(name)
		if v == "" {
			return nil
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%s=%q is no number of at least 0", name, v)
		}
		*into = n
		return nil
	}
	seconds := int64(-1)
	if err := errors.Join(number("tailLines", &o.Tail), number("limitBytes", &o.Limit), number("sinceSeconds", &seconds)); err != nil {
		return o, err
	}
	if seconds >= 0 {
		o.Since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if v := get("sinceTime"); v != "" {
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return o, fmt.Errorf("sinceTime: %w", err)
		}
		o.Since = t
	}
	switch get("stream") {
	case "Stdout":
		o.Stream = "stdout"
	case "Stderr":
		o.Stream = "stderr"
	}
	return o, nil
}
