// Package share hands a bundle from one server to others, so that it crosses the
// line between Terraform's machine and the servers once. What is handed on is
// public and is checked by who takes it: the protocol is a plain HTTP/1.0 GET of a
// path that names the content. The unpacker on a server links it, so it imports
// the standard library, x/sys and the archive only.
package share

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
)

const (
	// idle is how long a peer may send or take nothing.
	idle = 10 * time.Second
	// patience is how long the other end may take to listen: it is started at the
	// same time.
	patience = 3 * time.Second
	retry    = 50 * time.Millisecond
	// longestRequest is its first line, in bytes: anybody may connect.
	longestRequest = 1024
)

// ExitFetch is the exit status by which the unpacker tells ErrFetch.
const ExitFetch = 3

// ErrFetch is that the bundle could not be had from the other server. Nothing was
// changed then, and it can be had in another way.
var ErrFetch = errors.New("the bundle could not be taken from the other server")

// Listen listens for Serve. Runs at the same time may share the address.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	return c.Listen(ctx, "tcp", address)
}

// Serve hands the archive to who asks for its digest, until ctx is done; what has
// begun then is ended. An archive of another digest is an error.
func Serve(ctx context.Context, l net.Listener, path, digest string) error {
	defer l.Close()
	if err := holds(path, digest); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var handing sync.WaitGroup
	defer handing.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		handing.Go(func() {
			defer conn.Close()
			hand(conn, path, digest) //nolint:errcheck // the other end sees that it got too little
		})
	}
}

// holds returns an error where the archive is not that of the digest.
func holds(path, digest string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return archive.Walk(f, func(m archive.Manifest, _ archive.File, _ io.Reader) error {
		if m.Digest() != digest {
			return fmt.Errorf("%s is another bundle: version %s, digest %s", path, m.Version, m.Digest())
		}
		return archive.Stop()
	})
}

func hand(conn net.Conn, path, digest string) error {
	c := &lively{conn}
	request, err := bufio.NewReader(io.LimitReader(c, longestRequest)).ReadString('\n')
	if err != nil {
		return err
	}
	if f := strings.Fields(request); len(f) < 2 || f[0] != "GET" || f[1] != "/"+digest {
		_, err := io.WriteString(c, "HTTP/1.0 404 Not Found\r\n\r\n")
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Type: application/zstd\r\nContent-Length: %d\r\n\r\n", info.Size()); err != nil {
		return err
	}
	_, err = io.Copy(c, f)
	return err
}

// Install takes the bundle of the digest from the address and puts its programs
// into dir, as archive.Install does. An error is ErrFetch unless the bundle came
// and this server could not take it.
func Install(ctx context.Context, address, digest, dir, sums string) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFetch, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	content, err := get(&lively{conn}, digest)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFetch, address, err)
	}
	err = archive.Install(content, dir, sums, digest)
	if err == nil || ofFiles(err) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrFetch, address, errors.Join(content.failed, err))
}

// ofFiles reports whether it was this server's disk that failed.
func ofFiles(err error) bool {
	var file *fs.PathError
	var link *os.LinkError
	return errors.As(err, &file) || errors.As(err, &link)
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(retry):
		}
	}
}

func get(c *lively, digest string) (*body, error) {
	if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.0\r\n\r\n", digest); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(c, 64<<10)
	status, err := r.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if f := strings.Fields(status); len(f) < 2 || f[1] != "200" {
		return nil, fmt.Errorf("it answers %q", strings.TrimSpace(status))
	}
	b := &body{r: r, left: -1}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Content-Length") {
			if b.left, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return nil, fmt.Errorf("read the answer: %w", err)
			}
		}
	}
	if b.left < 0 {
		return nil, errors.New("the answer does not say how long it is")
	}
	return b, nil
}

// body is the content. It remembers whether it was the line that failed.
type body struct {
	r      io.Reader
	left   int64
	failed error
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && b.left > 0 {
		b.failed = err
		return n, err
	}
	return n, nil
}

// lively is a connection over which something comes or goes all the time.
type lively struct{ net.Conn }

func (l *lively) Read(p []byte) (int, error) {
	if err := l.SetReadDeadline(time.Now().Add(idle)); err != nil {
		return 0, err
	}
	return l.Conn.Read(p)
}

func (l *lively) Write(p []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(idle)); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}
