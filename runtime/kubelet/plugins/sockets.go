package plugins

import (
	"context"
	"maps"
	"os"
	"slices"
)

// seen takes up the plugin of a socket. One that was made again is another plugin.
func (m *Manager) seen(ctx context.Context, socket string, file os.FileInfo) {
	old := m.plugins[socket]
	if old != nil && os.SameFile(old.file, file) && old.file.ModTime().Equal(file.ModTime()) {
		return
	}
	p := &plugin{socket: socket, file: file, handlers: m.cfg.Handlers, backoff: m.backoff, log: m.cfg.Log, gone: make(chan struct{}), done: make(chan struct{})}
	m.plugins[socket] = p
	if old != nil {
		close(old.gone)
	}
	m.running.Go(func() {
		defer close(p.done)
		if old != nil {
			<-old.done
		}
		p.run(ctx)
	})
}

// keep forgets the plugins whose sockets are not among those that are there.
func (m *Manager) keep(there map[string]bool) {
	for _, socket := range slices.Collect(maps.Keys(m.plugins)) {
		if !there[socket] {
			m.lost(socket)
		}
	}
}

// lost forgets the plugin of a socket that is gone.
func (m *Manager) lost(socket string) {
	if p := m.plugins[socket]; p != nil {
		delete(m.plugins, socket)
		close(p.gone)
	}
}
