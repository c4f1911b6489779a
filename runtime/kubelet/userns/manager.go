package userns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// The ranges lie where distributions have no users: above those that systemd gives to
// containers of its own, and below what is no user to some programs.
// https://systemd.io/UIDS-GIDS/
const (
	First = 1_879_048_192 // 0x70000000
	Size  = 1 << 16       // as upstream's
	// Ranges is how many pods can have one.
	Ranges = (2_147_352_576 - First) / Size
)

// file is where a pod's range is in its directory.
const file = "userns"

// Manager keeps the ranges of pods. It is safe for concurrent use.
type Manager struct {
	layout poddir.Layout

	mu    sync.Mutex
	given map[string]container.Users // by pod UID; nil: not read yet
}

// NewManager returns a manager of the pods that have a directory.
func NewManager(layout poddir.Layout) *Manager { return &Manager{layout: layout} }

// Users are those of a pod, whose directory is there; the first time it is asked they are
// chosen. They stay the pod's until it is forgotten.
func (m *Manager) Users(pod *corev1.Pod) (container.Users, error) {
	if ptr.Deref(pod.Spec.HostUsers, true) {
		return container.Users{}, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.read(); err != nil {
		return container.Users{}, err
	}
	uid := string(pod.UID)
	if u, ok := m.given[uid]; ok {
		return u, nil
	}
	u, err := m.free()
	if err != nil {
		return container.Users{}, err
	}
	if err := m.write(uid, u); err != nil {
		return container.Users{}, err
	}
	m.given[uid] = u
	return u, nil
}

// Forget frees the range of a pod of which nothing is left.
func (m *Manager) Forget(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.given, uid)
}

// read takes up what earlier processes gave. A file that cannot be read is an error: its
// range could be anybody's.
func (m *Manager) read() error {
	if m.given != nil {
		return nil
	}
	uids, err := m.layout.UIDs()
	if err != nil {
		return fmt.Errorf("list the pods' users: %w", err)
	}
	given := map[string]container.Users{}
	for _, uid := range uids {
		data, err := os.ReadFile(m.path(uid))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var u container.Users
		if err == nil {
			err = json.Unmarshal(data, &u)
		}
		if err == nil && !valid(u) {
			err = fmt.Errorf("%+v is no range of this node's", u)
		}
		if err != nil {
			return fmt.Errorf("read the users of pod %s in %s: %w", uid, m.path(uid), err)
		}
		given[uid] = u
	}
	m.given = given
	return nil
}

func valid(u container.Users) bool {
	return u.Count == Size && u.First >= First && u.First < First+Ranges*Size && (u.First-First)%Size == 0
}

// free is the lowest range that no pod has.
func (m *Manager) free() (container.Users, error) {
	taken := make(map[uint32]bool, len(m.given))
	for _, u := range m.given {
		taken[u.First] = true
	}
	for i := range uint32(Ranges) {
		if u := (container.Users{First: First + i*Size, Count: Size}); !taken[u.First] {
			return u, nil
		}
	}
	return container.Users{}, fmt.Errorf("all %d ranges of users are given to pods of this node", Ranges)
}

// write is done before the range is used, whatever happens to the server.
func (m *Manager) write(uid string, u container.Users) error {
	data, err := json.Marshal(u)
	if err != nil {
		return err
	}
	tmp := m.path(uid) + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the users of pod %s: %w", uid, err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(tmp, m.path(uid))
	}
	if err != nil {
		return fmt.Errorf("write the users of pod %s: %w", uid, err)
	}
	return nil
}

func (m *Manager) path(uid string) string { return filepath.Join(m.layout.Pod(uid), file) }
