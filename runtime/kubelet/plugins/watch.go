package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// retryDelay is the pause before a directory that could not be watched is tried again.
const retryDelay = time.Second

// watch follows the directory until it is gone, events were lost, or ctx is done.
func (m *Manager) watch(ctx context.Context) {
	watcher, err := m.look(ctx)
	if err != nil {
		m.cfg.Log.Warn("plugins are not taken up", "dir", m.cfg.Dir, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryDelay):
		}
		return
	}
	defer watcher.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-watcher.Errors:
			m.cfg.Log.Warn("changes of plugins may be missed: all are looked at again", "dir", m.cfg.Dir, "error", err)
			return
		case e := <-watcher.Events:
			if e.Has(fsnotify.Remove | fsnotify.Rename) {
				if e.Name == m.cfg.Dir {
					return
				}
				m.lost(e.Name)
			}
			if e.Has(fsnotify.Create) {
				if err := m.walk(ctx, watcher, e.Name, nil); err != nil {
					m.cfg.Log.Warn("a plugin is not looked at", "path", e.Name, "error", err)
				}
			}
		}
	}
}

// look begins to watch the directory, and then takes up what is there already and forgets
// what is not.
func (m *Manager) look(ctx context.Context) (*fsnotify.Watcher, error) {
	if err := os.MkdirAll(m.cfg.Dir, 0o750); err != nil {
		return nil, err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	if err := m.walk(ctx, watcher, m.cfg.Dir, there); err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	m.keep(there)
	return watcher, nil
}

// walk takes up the sockets at and below path, and watches the directories. What goes
// meanwhile is told by the watch.
func (m *Manager) walk(ctx context.Context, watcher *fsnotify.Watcher, path string, there map[string]bool) error {
	return filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && at != m.cfg.Dir {
			return nil
		}
		if err != nil {
			return err
		}
		if at != m.cfg.Dir && strings.HasPrefix(filepath.Base(at), ".") {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if e.IsDir() {
			if err := watcher.Add(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("watch %s: %w", at, err)
			}
			return nil
		}
		if e.Type()&fs.ModeSocket == 0 {
			return nil
		}
		file, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if there != nil {
			there[at] = true
		}
		m.seen(ctx, at, file)
		return nil
	})
}
