package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/util/wait"
	api "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// model is a plugin that serves the real protocol on a socket.
type model struct {
	api.UnimplementedRegistrationServer
	info   *api.PluginInfo
	deaf   bool // does not take what became of it
	told   chan string
	server *grpc.Server
}

func (m *model) GetInfo(context.Context, *api.InfoRequest) (*api.PluginInfo, error) {
	return m.info, nil
}

func (m *model) NotifyRegistrationStatus(ctx context.Context, s *api.RegistrationStatus) (*api.RegistrationStatusResponse, error) {
	if m.deaf {
		return nil, errors.New("deaf")
	}
	select {
	case m.told <- fmt.Sprint(s.PluginRegistered, " ", s.Error):
	case <-ctx.Done():
	}
	return &api.RegistrationStatusResponse{}, nil
}

func start(t *testing.T, socket string, m *model) *model {
	t.Helper()
	m.told, m.server = make(chan string, 100), grpc.NewServer()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as of a plugin that was killed
	api.RegisterRegistrationServer(m.server, m)
	go m.server.Serve(l) //nolint:errcheck // it ends with the test
	t.Cleanup(m.server.Stop)
	return m
}

// handler is a model of one: it remembers who is registered, and that in which order.
type handler struct {
	invalid error
	calls   chan string

	mu       sync.Mutex
	failures int // so many times, registration fails
	now      map[string]bool
}

func newHandler() *handler { return &handler{calls: make(chan string, 100), now: map[string]bool{}} }

func (h *handler) Validate(name, endpoint string, versions []string) error { return h.invalid }

func (h *handler) Register(_ context.Context, name, endpoint string, versions []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures > 0 {
		h.failures--
		return errors.New("not yet")
	}
	at := name + " " + filepath.Base(endpoint)
	if h.now[at] {
		h.calls <- "twice " + at
	}
	h.now[at] = true
	h.calls <- "register " + at + " " + strings.Join(versions, ",")
	return nil
}

func (h *handler) Deregister(name, endpoint string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := name + " " + filepath.Base(endpoint)
	if !h.now[at] {
		h.calls <- "never " + at
	}
	delete(h.now, at)
	h.calls <- "deregister " + at
}

func expect(t *testing.T, from chan string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		select {
		case got := <-from:
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("nothing, want %q", want)
		}
	}
}

// run runs a manager of dir until the test ends, or the function that it returns is called.
func run(t *testing.T, dir string, h Handler) (stop func()) {
	t.Helper()
	m := New(Config{Dir: dir, Handlers: map[string]Handler{"T": h}, Log: slog.New(slog.DiscardHandler)})
	m.backoff = wait.Backoff{Duration: time.Millisecond, Steps: 1000}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

func info(name, endpoint string) *api.PluginInfo {
	return &api.PluginInfo{Type: "T", Name: name, Endpoint: endpoint, SupportedVersions: []string{"v1", "v2"}}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func TestASocketIsRegisteredForAsLongAsItIsThere(t *testing.T) {
	dir, h := filepath.Join(t.TempDir(), "made"), newHandler()
	if err := os.MkdirAll(filepath.Join(dir, "below"), 0o750); err != nil {
		t.Fatal(err)
	}
	before := start(t, filepath.Join(dir, "below", "a.sock"), &model{info: info("a", "/run/a")})
	stop := run(t, dir, h)
	expect(t, h.calls, "register a a v1,v2")
	expect(t, before.told, "true ")
	after := start(t, filepath.Join(dir, "b.sock"), &model{info: info("b", "")})
	expect(t, h.calls, "register b b.sock v1,v2")
	expect(t, after.told, "true ")

	remove(t, filepath.Join(dir, "below", "a.sock"))
	expect(t, h.calls, "deregister a a")
	if err := os.Rename(filepath.Join(dir, "b.sock"), filepath.Join(dir, ".b")); err != nil {
		t.Fatal(err)
	}
	expect(t, h.calls, "deregister b b.sock")

	last := start(t, filepath.Join(dir, "c.sock"), &model{info: info("c", "/c")})
	expect(t, h.calls, "register c c v1,v2")
	expect(t, last.told, "true ")
	stop()
	if len(h.calls) > 0 {
		t.Fatalf("a plugin does not outlive the manager: %s", <-h.calls)
	}
}

func TestASocketThatIsMadeAgainIsAnotherPlugin(t *testing.T) {
	dir, h := t.TempDir(), newHandler()
	run(t, dir, h)
	socket := filepath.Join(dir, "a.sock")
	for i := range 5 {
		m := start(t, socket, &model{info: info("a", fmt.Sprint("/", i))})
		expect(t, h.calls, fmt.Sprintf("register a %d v1,v2", i))
		m.server.Stop()
		remove(t, socket)
		if i%2 == 0 { // else it may be seen only after it is there again
			expect(t, h.calls, fmt.Sprintf("deregister a %d", i))
			continue
		}
		m = start(t, socket, &model{info: info("a", "/again")})
		expect(t, h.calls, fmt.Sprintf("deregister a %d", i), "register a again v1,v2")
		m.server.Stop()
		remove(t, socket)
		expect(t, h.calls, "deregister a again")
	}
}

func TestADirectoryThatIsMadeAgainIsLookedAt(t *testing.T) {
	dir, h := filepath.Join(t.TempDir(), "registry"), newHandler()
	run(t, dir, h)
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o750); err != nil {
		t.Fatal(err)
	}
	m := start(t, filepath.Join(dir, "d", "a.sock"), &model{info: info("a", "")})
	expect(t, h.calls, "register a a.sock v1,v2")
	remove(t, dir)
	expect(t, h.calls, "deregister a a.sock")
	m.server.Stop() // for as long as it listens, the kernel keeps the directories
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	start(t, filepath.Join(dir, "a.sock"), &model{info: info("a", "")})
	expect(t, h.calls, "register a a.sock v1,v2")
}

func TestWhatIsNoPluginIsPassedOver(t *testing.T) {
	dir, h := t.TempDir(), newHandler()
	if err := os.WriteFile(filepath.Join(dir, "file.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, ".hidden"), 0o750); err != nil {
		t.Fatal(err)
	}
	start(t, filepath.Join(dir, ".hidden", "h.sock"), &model{info: info("hidden", "")})
	start(t, filepath.Join(dir, ".sock"), &model{info: info("dot", "")})
	run(t, dir, h)
	start(t, filepath.Join(dir, "a.sock"), &model{info: info("a", "")})
	expect(t, h.calls, "register a a.sock v1,v2")
}

func TestAPluginIsToldWhyItIsNotTakenUp(t *testing.T) {
	for name, test := range map[string]struct {
		info    *api.PluginInfo
		invalid error
		fail    int
		told    []string
	}{
		"no handler": {
			info: &api.PluginInfo{Type: "X", Name: "a"},
			told: []string{"false RegisterPlugin error -- no handler registered for plugin type: X at socket SOCKET", "false RegisterPlugin error -- no handler registered for plugin type: X at socket SOCKET"},
		},
		"invalid": {info: info("a", ""), invalid: errors.New("no such version"), told: []string{"false RegisterPlugin error -- plugin validation failed with err: no such version"}},
		"later": {info: info("a", ""), fail: 2, told: []string{
			"false RegisterPlugin error -- plugin registration failed with err: not yet", "false RegisterPlugin error -- plugin registration failed with err: not yet", "true ",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, h := t.TempDir(), newHandler()
			h.invalid, h.failures = test.invalid, test.fail
			run(t, dir, h)
			socket := filepath.Join(dir, "s")
			m := start(t, socket, &model{info: test.info})
			for _, want := range test.told {
				expect(t, m.told, strings.ReplaceAll(want, "SOCKET", socket))
			}
			if registered := slices.Contains(test.told, "true "); (len(h.calls) == 1) != registered {
				t.Errorf("%d registrations", len(h.calls))
			}
		})
	}
}

func TestAPluginThatDoesNotHearOfItsRegistrationHasNone(t *testing.T) {
	dir, h := t.TempDir(), newHandler()
	run(t, dir, h)
	start(t, filepath.Join(dir, "s"), &model{info: info("a", ""), deaf: true})
	expect(t, h.calls, "register a s v1,v2", "deregister a s", "register a s v1,v2")
}
