package process

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/config"
)

// ending is a component whose Run the test decides.
type ending func(context.Context) error

func (e ending) Run(ctx context.Context) error { return e(ctx) }
func (e ending) Ready() error                  { return nil }

func TestHowAProcessEnds(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	broken := errors.New("broken")
	for what, tc := range map[string]struct {
		told bool  // to end
		err  error // of the component
		want string
	}{
		"told to end":                   {told: true},
		"told to end, and says so":      {told: true, err: fmt.Errorf("list: %w", context.Canceled)},
		"told to end, and fails":        {told: true, err: broken, want: "broken"},
		"not told to end":               {want: "ended without being told to"},
		"not told to end, and fails":    {err: broken, want: "broken"},
		"not told to end, yet canceled": {err: context.Canceled},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		err := Run(ctx, slog.New(slog.DiscardHandler), ending(func(ctx context.Context) error {
			if tc.told {
				cancel()
				<-ctx.Done()
				time.Sleep(10 * time.Millisecond) // it drains
			}
			return tc.err
		}), nil)
		cancel()
		if got := fmt.Sprint(err); tc.want == "" && err != nil || tc.want != "" && got != tc.want {
			t.Errorf("%s: %v, want %q", what, err, tc.want)
		}
	}
}

func TestADrainThatHangsIsGivenUp(t *testing.T) {
	for after, want := range map[time.Duration]string{drainTimeout - 1: "broken", time.Hour: "not drained 25s after the signal to stop"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			done, stopping := make(chan error, 1), 0
			time.AfterFunc(after, func() { done <- errors.New("broken") })
			start := time.Now()
			err := ended(ctx, done, func() { stopping++ })
			if err == nil || err.Error() != want || time.Since(start) != min(after, drainTimeout) || stopping != 1 {
				t.Errorf("drained after %s: %v after %s, and %d times told to stop, want %s", after, err, time.Since(start), stopping, want)
			}
		})
	}
}

func TestSystemdIsToldWhatComesOfAProcess(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	read := func() string {
		t.Helper()
		b := make([]byte, 100)
		if err := l.SetReadDeadline(time.Now().Add(patience.Limit)); err != nil {
			t.Fatal(err)
		}
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	t.Setenv("NOTIFY_SOCKET", socket)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, slog.New(slog.DiscardHandler), ending(func(ctx context.Context) error { <-ctx.Done(); return nil }), nil)
	}()
	if got := read(); got != "READY=1" {
		t.Errorf("told %q", got)
	}
	if s, ok := os.LookupEnv("NOTIFY_SOCKET"); ok {
		t.Errorf("a library finds %q, and may tell systemd too", s)
	}
	cancel()
	if got := read(); got != "STOPPING=1" {
		t.Errorf("told %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestWhyAProcessIsNotReadyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		r := &runner{}
		because := func(why string) { r.unready.Store(&why) }
		because("no disk")
		go notifyReady(t.Context(), r, notifier{}, slog.New(slog.NewTextHandler(&log, nil)))
		for _, tc := range []struct {
			after time.Duration
			then  func()
			want  []string
		}{
			{1010 * time.Millisecond, func() {}, nil}, // a start may take a second
			{20 * time.Millisecond, func() {}, []string{`reason="no disk"`}},
			{2 * time.Second, func() { because("no network") }, []string{`reason="no disk"`}},
			{20 * time.Millisecond, func() {}, []string{`reason="no disk"`, `reason="no network"`}},
			{2 * time.Second, func() { r.unready.Store(nil) }, []string{`reason="no disk"`, `reason="no network"`}},
			{20 * time.Millisecond, func() { because("no disk") }, []string{`reason="no disk"`, `reason="no network"`, "msg=ready after="}},
			{2 * time.Second, func() {}, []string{`reason="no disk"`, `reason="no network"`, "msg=ready after="}},
		} {
			time.Sleep(tc.after)
			synctest.Wait()
			text := log.String()
			got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if text == "" {
				got = nil
			}
			for i, want := range tc.want {
				if len(got) != len(tc.want) || !strings.Contains(got[i], want) {
					t.Fatalf("told %q, want %q", got, tc.want)
				}
			}
			if len(got) != len(tc.want) {
				t.Fatalf("told %q, want %q", got, tc.want)
			}
			tc.then()
		}
	})
}

func TestProfilesAreServedWhereTheyAreAskedFor(t *testing.T) {
	for _, profile := range []bool{false, true} {
		h := handler(config.Health{Profile: profile}, &runner{})
		status := func(path string) int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			return w.Code
		}
		want := http.StatusNotFound
		if profile {
			want = http.StatusOK
		}
		if got := status("/debug/pprof/"); got != want || status("/healthz") != http.StatusOK {
			t.Errorf("with profiles %v: %d", profile, got)
		}
	}
}

func TestProbe(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	pair := ca.leaf(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	health := healthOf(addr, ca, pair)
	if _, err := serveHealth(health, &runner{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an address in use is served")
	}
	ln.Close()
	r := &runner{}
	shutdown, err := serveHealth(health, r, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer shutdown()
	if got, err := Probe(t.Context(), addr, "/readyz", pair, ca.file); err != nil || got != "ok" {
		t.Errorf("ready: %q %v", got, err)
	}
	why := "the disk is full"
	r.unready.Store(&why)
	if got, err := Probe(t.Context(), addr, "/readyz", pair, ca.file); err == nil || !strings.Contains(err.Error(), "503 Service Unavailable: the disk is full") || got != "" {
		t.Errorf("not ready: %q %v", got, err)
	}
	for what, err := range map[string]error{
		"with another's certificate": probeError(t, addr, stranger.leaf(t), ca.file),
		"of another's server":        probeError(t, addr, pair, stranger.file),
		"without a certificate":      probeError(t, addr, config.KeyPair{}, ca.file),
		"without an authority":       probeError(t, addr, pair, filepath.Join(t.TempDir(), "none")),
		"where nobody serves":        probeError(t, "127.0.0.1:1", pair, ca.file),
	} {
		if err == nil {
			t.Errorf("%s: an answer", what)
		}
	}
}

func TestAProbeLeavesNoConnection(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.leaf(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL, r.Close) }))
	var err error
	if srv.TLS, err = serverTLS(pair, ca.file); err != nil {
		t.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	srv.TLS.Certificates = []tls.Certificate{own} // or httptest would put its own there
	srv.StartTLS()
	defer srv.Close()
	if got, err := Probe(t.Context(), srv.Listener.Addr().String(), "/readyz?verbose", pair, ca.file); err != nil || got != "/readyz?verbose true" {
		t.Errorf("asked for what, and closed: %q %v", got, err)
	}
}

func probeError(t *testing.T, addr string, pair config.KeyPair, ca string) error {
	t.Helper()
	_, err := Probe(t.Context(), addr, "/healthz", pair, ca)
	return err
}

func TestServingNeedsAllItsFiles(t *testing.T) {
	ca := newAuthority(t)
	pair, none := ca.leaf(t), filepath.Join(t.TempDir(), "none")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serverTLS(pair, ca.file); err != nil {
		t.Error(err)
	}
	for what, tc := range map[string]struct {
		pair config.KeyPair
		ca   string
	}{
		"the certificate":    {config.KeyPair{CertFile: none, KeyFile: pair.KeyFile}, ca.file},
		"the key":            {config.KeyPair{CertFile: pair.CertFile, KeyFile: none}, ca.file},
		"the other's key":    {config.KeyPair{CertFile: pair.CertFile, KeyFile: ca.leaf(t).KeyFile}, ca.file},
		"the authority":      {pair, none},
		"an authority in it": {pair, empty},
	} {
		if _, err := serverTLS(tc.pair, tc.ca); err == nil {
			t.Errorf("%s is not missed", what)
		}
	}
}
