package hosttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Model is a server in memory. It understands the commands that bootstrap uses,
// by what they mean; any other is an error, so that a new one must be modelled.
type Model struct {
	Title   string
	Address string
	// Facts are lines that its facts have at their end, where the last of a key counts.
	Facts string
	// OnDial, when not nil, says why an address cannot be reached from it.
	OnDial func(address string) error
	// OnStart is called when a unit starts; OnClean by gantry host clean.
	OnStart func(unit string) error
	OnClean func()
	// Peer, when not nil, finds the server that another one reaches at an address.
	Peer func(address string) *Model
	// NoRoom: its disk is full for whoever asks beforehand. See DiskFull for writes.
	NoRoom bool
	// FailAt is the number of the operation (from 1) that fails as Fault says;
	// 0 is never.
	FailAt int
	Fault  Fault
	// Grace is how long it keeps the run lock of a holder whose connection has ended. None
	// is what tests want that cut often.
	Grace time.Duration

	mu      sync.Mutex
	ops     int
	trace   []traced
	changes []string
	cut     bool
	lost    chan struct{} // closed when the connection is lost
	runLock record
	serving string // the digest of the bundle that it hands on
	refuses bool   // it was asked to, and has it not
	files   map[string]file
	dirs    map[string]fs.FileMode
	units   map[string]*unit
}

var _ host.Host = (*Model)(nil)

// NewModel returns a bare server.
func NewModel(title, address string) *Model {
	return &Model{Title: title, Address: address, files: map[string]file{}, dirs: map[string]fs.FileMode{}, units: map[string]*unit{}, lost: make(chan struct{})}
}

// Reconnect is a new connection to the same server; no cut is planned any more.
func (m *Model) Reconnect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose()
	m.lost = make(chan struct{})
	m.cut, m.FailAt, m.ops, m.changes, m.trace = false, 0, 0, nil, nil
}

// PowerCut ends the connections, and lets nobody in until Reconnect. What was in its
// memory only is lost.
func (m *Model) PowerCut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose()
	m.runLock = record{}
}

// connection is one login to the server, which ends when the connection is lost.
type connection struct {
	*Model
	lost chan struct{}
}

// Login is a connection of its own: what runs over it ends with it.
func (m *Model) Login() (host.Host, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut {
		return nil, m.unreachable()
	}
	return &connection{m, m.lost}, nil
}

// Run interprets a command.
func (c *connection) Run(ctx context.Context, command host.Command) ([]byte, error) {
	guards := command.Argv[0] == "sh" && command.Argv[3] == "guard-run-lock"
	serves := command.Argv[0] == unpacker && command.Argv[1] == "-serve"
	switch {
	case guards != serves && !command.Lasting:
		return nil, fmt.Errorf("%s: %s: a time-out would end it", c.Title, command)
	case guards:
		return nil, c.guardRunLock(ctx, c.lost, command.Argv[5])
	case serves:
		return nil, c.serve(ctx, c.lost, command)
	}
	select {
	case <-c.lost:
		return nil, c.unreachable()
	default:
	}
	return c.Model.Run(ctx, command)
}

// Ops is how many operations there were since the last Reconnect, and Changes
// those of them that changed the server.
func (m *Model) Ops() int { m.mu.Lock(); defer m.mu.Unlock(); return m.ops }

// Changes lists the operations that changed the server since the last Reconnect.
func (m *Model) Changes() []string { m.mu.Lock(); defer m.mu.Unlock(); return slices.Clone(m.changes) }

// Paths are all files, sorted.
func (m *Model) Paths() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files))
}

// File returns a file's content.
func (m *Model) File(path string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.files[path].data)
}

// SetFile changes a file behind bootstrap's back.
func (m *Model) SetFile(path, data string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path] = file{[]byte(data), m.files[path].mode}
}

// StopUnit stops a unit behind bootstrap's back.
func (m *Model) StopUnit(name string) { m.mu.Lock(); defer m.mu.Unlock(); m.units[name].active = false }

// Running are the units that run, sorted.
func (m *Model) Running() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for name, u := range m.units {
		if u.active {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Starts is how often a unit was started.
func (m *Model) Starts(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.units[name]; u != nil {
		return u.starts
	}
	return 0
}

// Name is the title.
func (m *Model) Name() string { return m.Title }

// ReadFiles reads those that exist.
func (m *Model) ReadFiles(ctx context.Context, paths ...string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := m.op(ctx, "", 1, func(int) error {
		for _, p := range paths {
			if f, ok := m.files[p]; ok {
				out[p] = slices.Clone(f.data)
			}
		}
		return nil
	})
	return out, err
}

// Stat describes those that exist.
func (m *Model) Stat(ctx context.Context, paths ...string) (map[string]host.FileInfo, error) {
	out := map[string]host.FileInfo{}
	err := m.op(ctx, "", 1, func(int) error {
		for _, p := range paths {
			if f, ok := m.files[p]; ok {
				sum := sha256.Sum256(f.data)
				out[p] = host.FileInfo{Mode: f.mode, Size: int64(len(f.data)), SHA256: hex.EncodeToString(sum[:])}
			} else if mode, ok := m.dirs[p]; ok {
				out[p] = host.FileInfo{Mode: mode | fs.ModeDir}
			}
		}
		return nil
	})
	return out, err
}

// WriteFiles replaces files, if their directories exist.
func (m *Model) WriteFiles(ctx context.Context, files ...host.File) error {
	if len(files) == 0 {
		return nil
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	return m.op(ctx, "write "+strings.Join(paths, " "), len(files), func(n int) error {
		for _, f := range files[:n] {
			if err := m.put(f.Path, f.Data, f.Mode); err != nil {
				return err
			}
		}
		return nil
	})
}

// Upload replaces a file, if its directory exists.
func (m *Model) Upload(ctx context.Context, p string, r io.Reader, mode fs.FileMode, progress func(int64)) error {
	return m.op(ctx, "upload "+p, 1, func(n int) error {
		if n == 0 {
			return nil // what came is in a file of another name
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if progress != nil {
			progress(int64(len(data)))
		}
		return m.put(p, data, mode)
	})
}

// Dial reaches an end that says nothing, unless OnDial knows better.
func (m *Model) Dial(_ context.Context, _, address string) (net.Conn, error) {
	if m.OnDial != nil {
		if err := m.OnDial(address); err != nil {
			return nil, err
		}
	}
	near, far := net.Pipe()
	far.Close()
	return near, nil
}

// Close does nothing.
func (m *Model) Close() error { return nil }

// Run interprets a command.
func (m *Model) Run(ctx context.Context, c host.Command) ([]byte, error) {
	name, args := c.Argv[0], c.Argv[1:]
	if name == "sh" {
		name, args = c.Argv[3], c.Argv[4:]
	}
	var out bytes.Buffer
	change, parts := name+" "+strings.Join(args, " "), 2
	switch name {
	case "take-run-lock", "release-run-lock":
		// A conversation of its own, which goes on beside the operations.
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.cut {
			return nil, m.unreachable()
		}
		err := m.interpret(c, name, args, &out)
		return out.Bytes(), err
	case "facts", "unit-states":
		change = ""
	case "append-cluster-journal": // nobody is told what came of it, so that half of it is none
		parts = 1
	}
	err := m.op(ctx, change, parts, func(n int) error { return m.half(c, name, args, n < parts, &out) })
	return out.Bytes(), err
}

// half is the command, or what it had done when it was interrupted half-way: some
// of the units were started or stopped, some of the paths removed.
func (m *Model) half(c host.Command, name string, args []string, interrupted bool, out io.Writer) error {
	if !interrupted {
		return m.interpret(c, name, args, out)
	}
	switch name {
	case "start-units", "stop-units", "remove-units", "rm":
		return m.interpret(c, name, args[:(len(args)+1)/2], out)
	case unpacker, "mark-units", "append-journal", "append-cluster-journal":
		return nil // each is written beside and put in its place as a whole
	}
	return m.interpret(c, name, args, out)
}
