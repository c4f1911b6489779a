package hosttest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/runtime/config"
)

// interpret does what a command means. Scripts are known by their names.
func (m *Model) interpret(c host.Command, name string, args []string, out io.Writer) error {
	switch name {
	case "facts":
		fmt.Fprintf(out, "os=Model\nkernel=6.1.0\narch=x86_64\ncgroup=2\ncontroller=cpu\ncontroller=memory\ncontroller=pids\nsystemd=252\n"+
			"memory=%d\ndisk=%d\nopt=%d\nmachine=machine-of-%s\nhostname=%s\ntime=%d\naddress=%s\n%s",
			8<<30, 64<<30, 64<<30, m.Title, m.Title, time.Now().Unix(), m.Address, m.Facts)
	case "make-dirs":
		for i := 0; i+1 < len(args); i += 2 {
			mode, err := strconv.ParseUint(args[i], 8, 32)
			if err != nil {
				return err
			}
			m.mkdir(args[i+1], fs.FileMode(mode))
		}
	case "mkdir": // mkdir -p -m 0700 DIR
		m.mkdir(args[len(args)-1], 0o700)
	case "append-journal", "append-cluster-journal":
		if _, ok := m.dirs[args[0]]; !ok {
			m.mkdir(args[0], 0o700)
		}
		m.files[args[1]] = file{append(m.files[args[1]].data, c.Stdin...), 0o600}
	case "rm":
		for _, p := range args {
			if strings.HasPrefix(p, "/") {
				m.remove(p)
			}
		}
	case "need-room":
		if m.NoRoom {
			return &host.CommandError{Host: m.Title, Command: c, Status: 1, Stderr: args[0] + ": No space left on device: 0 bytes are free"}
		}
	case "load-units": // which enables them: so does their start
	case "modprobe":
		return &host.CommandError{Host: m.Title, Command: c, Status: 127, Stderr: "modprobe: not found"}
	case "start-units":
		return m.start(c, args[1:])
	case "stop-units":
		for _, u := range args {
			if m.units[u] != nil {
				m.units[u].active, m.units[u].enabled = false, false
			}
		}
	case "mark-units":
		m.mkdir(args[0], 0o755)
		for i := 1; i+1 < len(args); i += 2 {
			m.files[path.Join(args[0], args[i])] = file{[]byte(args[i+1] + "\n"), 0o644}
		}
	case "unit-states":
		m.states(args[0], args[1:], out)
	case "remove-units":
		for _, p := range args {
			m.remove(p)
		}
	case "take-run-lock":
		m.takeRunLock(args, out)
	case "release-run-lock":
		if m.runLock.token == args[1] {
			m.runLock = record{}
		}
	case "restart-unit":
		return m.start(c, args)
	case "end-leftovers":
	case config.Binary("gantry"):
		if m.OnClean != nil {
			m.OnClean()
		}
	case unpacker:
		return m.install(c)
	default:
		return m.unknown(c)
	}
	return nil
}

func (m *Model) unknown(c host.Command) error {
	return &host.CommandError{Host: m.Title, Command: c, Status: 127, Stderr: "the model host does not know this command"}
}

func (m *Model) start(c host.Command, units []string) error {
	for _, name := range units {
		if _, ok := m.files[path.Join(config.UnitDir, name)]; !ok {
			return &host.CommandError{Host: m.Title, Command: c, Status: 1, Stderr: "Failed to start " + name + ": Unit not found."}
		}
		if m.OnStart != nil {
			if err := m.OnStart(name); err != nil {
				return &host.CommandError{Host: m.Title, Command: c, Status: 1, Stderr: err.Error()}
			}
		}
		u := m.units[name]
		if u == nil {
			u = &unit{}
			m.units[name] = u
		}
		u.active, u.enabled, u.starts = true, true, u.starts+1
	}
	return nil
}

func (m *Model) states(marks string, units []string, out io.Writer) {
	for _, name := range units {
		load, active, enabled := "not-found", "inactive", ""
		if _, ok := m.files[path.Join(config.UnitDir, name)]; ok {
			load, enabled = "loaded", "disabled"
		}
		if u := m.units[name]; u != nil {
			if u.active {
				active = "active"
			}
			if u.enabled {
				enabled = "enabled"
			}
		}
		fmt.Fprintf(out, "Id=%s\nLoadState=%s\nActiveState=%s\nUnitFileState=%s\nNeedDaemonReload=no\n\n", name, load, active, enabled)
	}
	for _, name := range units {
		if f, ok := m.files[path.Join(marks, name)]; ok {
			fmt.Fprintf(out, "mark=%s=%s", name, f.data)
		}
	}
}

// record is the run lock on a master.
type record struct {
	token, who     string
	renewed, since time.Time
}

func (m *Model) takeRunLock(args []string, out io.Writer) {
	token, who, now := args[1], args[3], time.Now()
	ttl, _ := strconv.Atoi(args[2])
	if age := now.Sub(m.runLock.renewed); m.runLock.token != "" && m.runLock.token != token && age < time.Duration(ttl)*time.Second {
		fmt.Fprintf(out, "held %d %d %s\n", int(age.Seconds()), m.runLock.since.Unix(), m.runLock.who)
		return
	}
	if m.runLock.token != token {
		m.runLock.since = now
	}
	m.runLock.token, m.runLock.who, m.runLock.renewed = token, who, now
	fmt.Fprintln(out, "granted")
}

// guardRunLock lasts as long as the connection. A record that is not renewed within
// the grace goes with it.
func (m *Model) guardRunLock(ctx context.Context, lost chan struct{}, token string) error {
	select {
	case <-ctx.Done():
	case <-lost:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	left := m.runLock
	drop := func() {
		if m.runLock.token == token && m.runLock.renewed.Equal(left.renewed) {
			m.runLock = record{}
		}
	}
	if m.Grace == 0 {
		drop()
	} else {
		time.AfterFunc(m.Grace, func() { m.mu.Lock(); defer m.mu.Unlock(); drop() })
	}
	return m.unreachable()
}

// Holder is who holds the run lock on this server; empty when nobody does.
func (m *Model) Holder() string { m.mu.Lock(); defer m.mu.Unlock(); return m.runLock.who }
