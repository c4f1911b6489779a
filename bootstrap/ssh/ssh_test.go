package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/internal/patience"
)

func server(t *testing.T, change func(*hosttest.SSHD)) *hosttest.SSHD {
	t.Helper()
	s, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func dial(t *testing.T, s *hosttest.SSHD, hostKey string) (*Host, error) {
	t.Helper()
	return dialWithin(t, s, hostKey, patience.Limit)
}

func dialWithin(t *testing.T, s *hosttest.SSHD, hostKey string, limit time.Duration) (*Host, error) {
	t.Helper()
	address, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	h, err := Dial(t.Context(), Config{PrivateKey: s.ClientKey, ConnectTimeout: limit, MaxSessions: 3},
		Target{Name: "h1", Address: address, Port: n, HostKey: hostKey})
	if err == nil {
		t.Cleanup(func() { h.Close() })
	}
	return h, err
}

func connected(t *testing.T) (*Host, *hosttest.SSHD) {
	t.Helper()
	s := server(t, nil)
	h, err := dial(t, s, "")
	if err != nil {
		t.Fatal(err)
	}
	return h, s
}

func TestLoginFailuresAreTold(t *testing.T) {
	other, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change  func(*hosttest.SSHD)
		hostKey string
		limit   time.Duration
		want    error
	}{
		"hung handshake":   {func(s *hosttest.SSHD) { s.Hang = true }, "", 200 * time.Millisecond, host.ErrUnreachable},
		"refused key":      {func(s *hosttest.SSHD) { s.Refuse = true }, "", patience.Limit, host.ErrAuth},
		"changed host key": {nil, other.HostKey, patience.Limit, host.ErrHostKeyChanged},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, tc.change)
			err := within(t, "the login", func() error { _, err := dialWithin(t, s, tc.hostKey, tc.limit); return err })
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), "h1 (127.0.0.1)") {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestTheFirstHostKeyIsReportedAndThenPinned(t *testing.T) {
	h, s := connected(t)
	if h.HostKey() != s.HostKey {
		t.Errorf("reported %q, is %q", h.HostKey(), s.HostKey)
	}
	if _, err := dial(t, s, h.HostKey()+" a comment"); err != nil {
		t.Error(err)
	}
}

func TestRunKeepsArgumentsAndReportsFailureInFull(t *testing.T) {
	h, _ := connected(t)
	out, err := h.Run(t.Context(), host.Command{Argv: []string{"printf", "%s|", "a b", "it's", "$HOME", ""}})
	if err != nil || string(out) != "a b|it's|$HOME||" {
		t.Errorf("got %q %v", out, err)
	}
	_, err = h.Run(t.Context(), host.Shell("failing", "echo out; seq 1 2000 >&2; exit 7"))
	var failed *host.CommandError
	if !errors.As(err, &failed) || failed.Status != 7 || failed.Stdout != "out\n" || !strings.HasSuffix(failed.Stderr, "1999\n2000\n") {
		t.Errorf("got %v", err)
	}
}

func TestADroppedConnectionIsUnreachable(t *testing.T) {
	s := server(t, func(s *hosttest.SSHD) { s.DropSessions = true })
	h, err := dial(t, s, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Run(t.Context(), host.Shell("x", "true")); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	h, s = connected(t)
	ended := begin(t, h, t.Context())
	s.Drop()
	if err := within(t, "the command", func() error { return <-ended }); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("in mid-command: got %v", err)
	}
}

func TestCancelEndsACommand(t *testing.T) {
	h, _ := connected(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := h.Run(ctx, host.Shell("x", "sleep 100")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// What lasts as long as an operation, such as what guards a run lock, is not ended by
// what bounds commands; those that began later are.
func TestALastingCommandOutlivesTheTimeout(t *testing.T) {
	s := server(t, nil)
	h := loginTo(t, s, Config{CommandTimeout: 200 * time.Millisecond})
	end, ended := filepath.Join(t.TempDir(), "end"), make(chan error, 1)
	c := host.Shell("lasting", `while [ ! -e "$1" ]; do sleep 0.02; done`, end)
	c.Lasting = true
	go func() {
		_, err := h.Run(t.Context(), c)
		ended <- err
	}()
	patience.Until(t, "it begins", func() bool { return s.MostSessions() == 1 })
	for range 2 {
		if _, err := h.Run(t.Context(), host.Shell("bounded", "exec sleep 100")); err == nil || !strings.Contains(err.Error(), "command_timeout") {
			t.Errorf("got %v", err)
		}
	}
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := within(t, "the command", func() error { return <-ended }); err != nil {
		t.Error(err)
	}
}

// sshd may allow fewer sessions than the setting says, and says so to nobody else.
func TestTooFewSessionsAreTold(t *testing.T) {
	s := server(t, func(s *hosttest.SSHD) { s.MaxSessions = 1 })
	h := loginTo(t, s, Config{})
	h.connectTimeout = time.Second // in which it is asked again and again
	begin(t, h, t.Context())
	if _, err := h.Run(t.Context(), host.Shell("x", "true")); err == nil || !strings.Contains(err.Error(), "sshd's MaxSessions") {
		t.Errorf("got %v", err)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	h, s := connected(t)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if _, err := h.Run(t.Context(), host.Shell("x", "sleep 0.02")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := s.MostSessions(); n > 3 {
		t.Errorf("%d sessions at a time", n)
	}
}

func TestFilesAreWrittenReadAndDescribed(t *testing.T) {
	h, _ := connected(t)
	dir := t.TempDir()
	small, large, missing := filepath.Join(dir, "a file"), filepath.Join(dir, "large"), filepath.Join(dir, "missing")
	secret := []byte("line\n\x00binary")
	if err := h.WriteFiles(t.Context(), host.File{Path: small, Data: secret, Mode: 0o600}, host.File{Path: small + " 2", Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 3<<20+7)
	rand.Read(data) // never fails
	var sent int64
	if err := h.Upload(t.Context(), large, bytes.NewReader(data), 0o755, func(n int64) { sent = n }); err != nil {
		t.Fatal(err)
	}
	files, err := h.ReadFiles(t.Context(), small, missing, large)
	if err != nil || !bytes.Equal(files[small], secret) || !bytes.Equal(files[large], data) || len(files) != 2 {
		t.Errorf("read %d files: %v", len(files), err)
	}
	infos, err := h.Stat(t.Context(), small, missing, large, dir)
	if err != nil || infos[small].Mode != 0o600 || infos[large].Mode != 0o755 || infos[large].Size != int64(len(data)) || !infos[dir].Mode.IsDir() || len(infos) != 3 {
		t.Errorf("stat: %v %v", infos, err)
	}
	if sent != int64(len(data)) {
		t.Errorf("progress ended at %d of %d", sent, len(data))
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.gantry-new"))
	if len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// A file that is replaced between its description and its content is never taken
// for what was described.
func TestWhatChangedWhileItWasReadIsReadAgain(t *testing.T) {
	const a, b = "3 17 1.000000001 /a\n", "2 18 1.000000001 /b c\n"
	for name, tc := range map[string]struct {
		out       string
		unchanged bool
		files     map[string][]byte
	}{
		"nothing is there":  {"", true, map[string][]byte{}},
		"as described":      {a + b + "\n" + "a\n\n" + "bb" + a + b, true, map[string][]byte{"/a": []byte("a\n\n"), "/b c": []byte("bb")}},
		"empty":             {"0 1 1.0 /e\n\n0 1 1.0 /e\n", true, map[string][]byte{"/e": {}}},
		"replaced":          {a + "\n" + "new" + "3 99 2.000000001 /a\n", false, nil},
		"longer":            {a + "\n" + "longer" + "6 99 2.000000001 /a\n", false, nil},
		"cut":               {a + "\n" + "n", false, nil},
		"gone at the end":   {a + "\n" + "old", false, nil},
		"one grew, one not": {a + b + "\n" + "aaaabb" + "4 17 1.000000002 /a\n" + b, false, nil},
	} {
		files, unchanged, err := parseFiles([]byte(tc.out))
		if err != nil || unchanged != tc.unchanged || tc.files != nil && !reflect.DeepEqual(files, tc.files) {
			t.Errorf("%s: got %q, %v, %v", name, files, unchanged, err)
		}
	}
	for _, out := range []string{"3 17 1.0 /a\nabc", "x 17 1.0 /a\n\nabc", "3 17\n\nabc"} {
		if files, _, err := parseFiles([]byte(out)); err == nil {
			t.Errorf("%q was taken for %q", out, files)
		}
	}
}

func TestNoKeyIsToldBeforeDialling(t *testing.T) {
	_, err := Dial(t.Context(), Config{}, Target{Name: "h1", Address: "192.0.2.1"})
	if err == nil || !strings.Contains(err.Error(), "no way to log in") {
		t.Errorf("got %v", err)
	}
}

// The kept sum of a large file is used as long as the file is the same, and never
// after it was written to, even if its size and time say otherwise.
func TestAKeptSumIsTrue(t *testing.T) {
	h, _ := connected(t)
	dir := t.TempDir()
	h.sums = filepath.Join(dir, "sums")
	file := filepath.Join(dir, "a program")
	data := bytes.Repeat([]byte("x"), 2<<20)
	sum := func() string {
		t.Helper()
		infos, err := h.Stat(t.Context(), file)
		if err != nil || infos[file].Size != int64(len(data)) {
			t.Fatal(infos, err)
		}
		return infos[file].SHA256
	}
	write := func() string {
		t.Helper()
		if err := os.WriteFile(file, data, 0o755); err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(data)
		return hex.EncodeToString(digest[:])
	}
	want := write()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := sum(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	kept, err := filepath.Glob(filepath.Join(h.sums, "*"))
	if err != nil || len(kept) != 1 {
		t.Errorf("kept are %v: %v", kept, err)
	}
	data[len(data)-1] = 'y'
	want = write()
	if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if got := sum(); got != want {
		t.Error("a changed file has the sum that was kept")
	}
}

// TestATalkativeLoginShell: what it says before it comes to the command is no part of what
// the command says, whether it ends with a line or not.
func TestATalkativeLoginShell(t *testing.T) {
	for _, says := range []string{"welcome\n", "welcome", "a\n\nb\n"} {
		h, err := dial(t, server(t, func(s *hosttest.SSHD) { s.Says = says }), "")
		if err != nil {
			t.Fatal(err)
		}
		out, err := h.Run(t.Context(), host.Command{Argv: []string{"printf", "a\nb"}})
		if err != nil || string(out) != "a\nb" {
			t.Errorf("%q: %q, %v", says, out, err)
		}
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := h.ReadFiles(t.Context(), file, file+"-none")
		if err != nil || len(files) != 1 || string(files[file]) != "content" {
			t.Errorf("%q: %q, %v", says, files, err)
		}
		_, err = h.Run(t.Context(), host.Command{Argv: []string{"sh", "-c", "echo why; exit 3"}})
		if failed := (*host.CommandError)(nil); !errors.As(err, &failed) || failed.Status != 3 || failed.Stdout != "why\n" {
			t.Errorf("%q: %v", says, err)
		}
	}
	if got := string(output([]byte("This account is currently not available.\n"))); got != "This account is currently not available.\n" {
		t.Errorf("a shell that does not come to the command: %q", got)
	}
}
