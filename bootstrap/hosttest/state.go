package hosttest

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

type file struct {
	data []byte
	mode fs.FileMode
}

type unit struct {
	active, enabled bool
	starts          int
}

// lose ends the connections, and with them what guards a run lock.
func (m *Model) lose() {
	if !m.cut {
		close(m.lost)
	}
	if m.Grace == 0 {
		m.runLock = record{}
	}
	m.cut = true
}

func (m *Model) unreachable() error {
	return &host.Error{Kind: host.ErrUnreachable, Host: m.Title, Doing: "run", Err: io.EOF}
}

func (m *Model) put(p string, data []byte, mode fs.FileMode) error {
	dir := path.Dir(p)
	if _, ok := m.dirs[dir]; !ok && strings.Contains(dir, "gantry") {
		return fmt.Errorf("%s: no such directory %s", m.Title, dir)
	}
	m.files[p] = file{slices.Clone(data), mode}
	return nil
}

func (m *Model) mkdir(p string, mode fs.FileMode) {
	for d := path.Dir(p); d != "/"; d = path.Dir(d) {
		if _, ok := m.dirs[d]; !ok {
			m.dirs[d] = 0o755
		}
	}
	m.dirs[p] = mode
}

func (m *Model) remove(p string) {
	below := func(q string) bool { return q == p || strings.HasPrefix(q, p+"/") }
	maps.DeleteFunc(m.files, func(q string, _ file) bool { return below(q) })
	maps.DeleteFunc(m.dirs, func(q string, _ fs.FileMode) bool { return below(q) })
}
