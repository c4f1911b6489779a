package share

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
)

// pack makes an archive of one large program, and returns its path and digest.
func pack(t *testing.T) (path, digest string) {
	t.Helper()
	dir := t.TempDir()
	for name, size := range map[string]int{"gantry": 3 << 20, archive.UnpackerName: 10} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * i >> 3)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	m, err := archive.Pack(&b, dir, archive.Manifest{Version: "1", Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, m.Digest()
}

// serving serves until the test, or what stop is called for, ends.
func serving(t *testing.T, path, digest string) (address string, stop func() error) {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, path, digest) }()
	return l.Addr().String(), func() error { cancel(); return <-ended }
}

func programs(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestABundleIsHandedOn(t *testing.T) {
	path, digest := pack(t)
	address, stop := serving(t, path, digest)
	second, err := Listen(t.Context(), address) // of a run beside it
	if err != nil {
		t.Fatal(err)
	}
	second.Close() // it was never used
	for range 3 {
		dir := t.TempDir()
		if err := Install(t.Context(), address, digest, dir, ""); err != nil {
			t.Fatal(err)
		}
		if got := programs(t, dir); got != "gantry" {
			t.Errorf("installed are %q", got)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := Install(t.Context(), address, digest, dir, ""); !errors.Is(err, ErrFetch) || programs(t, dir) != "" {
		t.Errorf("with nobody there: %v", err)
	}
}

func TestAnotherBundleIsRefused(t *testing.T) {
	path, digest := pack(t)
	other := strings.Repeat("0", len(digest))
	_, stop := serving(t, path, other)
	if err := stop(); err == nil || !strings.Contains(err.Error(), "another bundle") {
		t.Errorf("it is served as what it is not: %v", err)
	}
	address, _ := serving(t, path, digest)
	if err := Install(t.Context(), address, other, t.TempDir(), ""); !errors.Is(err, ErrFetch) || !strings.Contains(err.Error(), "404") {
		t.Errorf("asked for another: %v", err)
	}
}

// What another server says is believed only as far as the digest goes, and what
// stops half-way changes nothing.
func TestWhatDoesNotComeWholeIsNotInstalled(t *testing.T) {
	path, digest := pack(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const head = "HTTP/1.0 200 OK\r\ncontent-length: "
	for name, answer := range map[string]string{
		"cut":                  head + "9000000\r\n\r\n" + string(data),
		"cut in the middle":    head + "9000000\r\n\r\n" + string(data[:len(data)/2]),
		"no length":            "HTTP/1.0 200 OK\r\n\r\n" + string(data),
		"no answer":            "",
		"no bundle":            head + "5\r\n\r\nhello",
		"changed on the way":   head + "9000000\r\n\r\n" + string(data[:len(data)/2]) + "x" + string(data[len(data)/2+1:]),
		"refused":              "HTTP/1.0 503 Busy\r\n\r\n",
		"not the one promised": head + "0\r\n\r\n",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			conn.Read(make([]byte, 1000)) //nolint:errcheck // the request
			io.WriteString(conn, answer)  //nolint:errcheck // the other end sees less
		}()
		dir := t.TempDir()
		err = Install(t.Context(), l.Addr().String(), digest, dir, "")
		if name == "cut" { // at the end all has come
			if err != nil || programs(t, dir) != "gantry" {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.Is(err, ErrFetch) || programs(t, dir) != "" {
			t.Errorf("%s: %v, installed %q", name, err, programs(t, dir))
		}
		l.Close() // the next has its own
	}
}

// A disk that is full is no reason to send the same again.
func TestWhatTheDiskRefusesIsToldAsSuch(t *testing.T) {
	path, digest := pack(t)
	address, _ := serving(t, path, digest)
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Install(t.Context(), address, digest, dir, ""); err == nil || errors.Is(err, ErrFetch) {
		t.Errorf("got %v", err)
	}
}

// Who talks on and on is hung up on, and others are served.
func TestARequestIsShort(t *testing.T) {
	path, digest := pack(t)
	address, _ := serving(t, path, digest)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go conn.Write(bytes.Repeat([]byte("x"), 10<<20)) //nolint:errcheck // it is to fail
	if answer, _ := io.ReadAll(conn); len(answer) > 0 {
		t.Errorf("it answers %q", answer)
	}
	if err := Install(t.Context(), address, digest, t.TempDir(), ""); err != nil {
		t.Error(err)
	}
}
