package share

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gantry-run/gantry/internal/ports"
)

func TestWhatIsHandedOn(t *testing.T) {
	path, digest := pack(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]bool{
		"GET /" + digest + " HTTP/1.0\r\n":  true,
		"GET /" + digest + "\n":             true,
		"GET /" + digest[1:] + "\r\n":       false,
		"GET " + digest + " HTTP/1.0\r\n":   false,
		"POST /" + digest + " HTTP/1.0\r\n": false,
		"GET\r\n":                           false,
		"\n":                                false,
	} {
		here, there := net.Pipe()
		go func() {
			hand(there, path, digest) //nolint:errcheck // what comes is looked at
			there.Close()
		}()
		if _, err := io.WriteString(here, request); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(here)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
		if got := strings.HasPrefix(head, "HTTP/1.0 200 "); got != want || (body == string(data)) != want {
			t.Errorf("%q: %q, and %d bytes", request, head, len(body))
		}
		if !want && !strings.HasPrefix(head, "HTTP/1.0 404 ") {
			t.Errorf("%q: %q", request, head)
		}
		here.Close()
	}
}

func TestWhatAnAnswerSays(t *testing.T) {
	for answer, tc := range map[string]struct{ body, err string }{
		"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello":                        {"hello", ""},
		"HTTP/1.0 200 OK\r\nServer: x\r\ncontent-length:5\r\nDate: y\r\n\r\nhello": {"hello", ""},
		"HTTP/1.0 200\nContent-Length: 5\n\nhello":                                 {"hello", ""},
		"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello world":                  {"hello", ""},
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\nhello":                        {"", ""},
		"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello":                                {"", "does not say how long it is"},
		"HTTP/1.0 200 OK\r\nContent-Length: -5\r\n\r\nhello":                       {"", "does not say how long it is"},
		"HTTP/1.0 200 OK\r\nContent-Length: long\r\n\r\nhello":                     {"", "read the answer"},
		"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n":                                 {"", "read the answer"},
		"HTTP/1.0 404 Not Found\r\n\r\n":                                           {"", `it answers "HTTP/1.0 404 Not Found"`},
		"HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello":                               {"", "it answers"},
		"HTTP/1.0 200 OK": {"", "read the answer"},
	} {
		here, there := net.Pipe()
		go func() {
			there.Read(make([]byte, 1000)) //nolint:errcheck // the request
			io.WriteString(there, answer)  //nolint:errcheck // the other end sees less
			there.Close()
		}()
		b, err := get(&lively{here}, "digest")
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%q: %v, want %q", answer, err, tc.err)
			}
		} else if err != nil {
			t.Errorf("%q: %v", answer, err)
		} else if got, err := io.ReadAll(b); err != nil || string(got) != tc.body || b.failed != nil {
			t.Errorf("%q: %q, %v, %v", answer, got, err, b.failed)
		}
		here.Close()
	}
}

// late is a reader that has its error together with its data.
type late struct {
	data string
	err  error
}

func (l late) Read(p []byte) (int, error) { return copy(p, l.data), l.err }

func TestABodyKnowsWhetherItWasTheLineThatFailed(t *testing.T) {
	broken := errors.New("the line is cut")
	for what, tc := range map[string]struct {
		r    io.Reader
		left int64
		want string
		err  error
	}{
		"all of it":              {strings.NewReader("hello"), 5, "hello", nil},
		"no more than it":        {strings.NewReader("hello world"), 5, "hello", nil},
		"in pieces":              {iotest.OneByteReader(strings.NewReader("hello world")), 5, "hello", nil},
		"nothing":                {iotest.ErrReader(broken), 0, "", nil},
		"less than it":           {strings.NewReader("hell"), 5, "hell", io.ErrUnexpectedEOF},
		"cut at the beginning":   {iotest.ErrReader(broken), 5, "", broken},
		"cut in the middle":      {late{"hell", broken}, 5, "hell", broken},
		"cut at its end":         {late{"hello", broken}, 5, "hello", nil},
		"ended at its end":       {late{"hello", io.EOF}, 5, "hello", nil},
		"ended before, and told": {late{"hell", io.EOF}, 5, "hell", io.ErrUnexpectedEOF},
	} {
		b := &body{r: tc.r, left: tc.left}
		got, err := io.ReadAll(b)
		if string(got) != tc.want || !errors.Is(err, tc.err) || !errors.Is(b.failed, tc.err) {
			t.Errorf("%s: %q, %v, the line failed with %v; want %q, %v", what, got, err, b.failed, tc.want, tc.err)
		}
	}
}

func TestWhetherItIsTheDiskThatFailed(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.ErrUnexpectedEOF, false},
		{&net.OpError{Op: "read", Err: io.EOF}, false},
		{&fs.PathError{Op: "write", Path: "a", Err: errors.New("no space")}, true},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: errors.New("no space")}, true},
		{fmt.Errorf("a: %w", &fs.PathError{Op: "write", Path: "a", Err: errors.New("no space")}), true},
	} {
		if got := ofFiles(tc.err); got != tc.want {
			t.Errorf("%v: %v", tc.err, got)
		}
	}
}

// Both ends are started at the same time.
func TestWhoListensLateIsWaitedFor(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", ports.Reserve(t)) // nobody listens there
	listening := make(chan error, 1)
	go func() {
		time.Sleep(3 * retry)
		l, err := Listen(t.Context(), address)
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		listening <- err
	}()
	conn, err := dial(t.Context(), address)
	if lerr := <-listening; lerr != nil {
		t.Fatal(lerr)
	}
	if err != nil {
		t.Fatal(err)
	}
	conn.Close() // it was never used
}
