package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// refreshPeriod is how often the content of volumes is compared with the API though
// no watch told of a change: tokens are renewed by it.
const refreshPeriod = 60 * time.Second

// Manager keeps the volumes of this node's pods.
type Manager struct {
	layout  poddir.Layout
	mounts  Mounts
	objects Objects
	plugins []Plugin

	mu   sync.Mutex
	pods map[string]freshness // by UID, those that were set up
}

type freshness struct {
	refreshed time.Time // when the content was last compared with the API
	outdated  bool      // something in it has changed since
}

// NewManager returns a manager of the volumes below the pods' directories.
func NewManager(layout poddir.Layout, mounts Mounts, objects Objects, plugins []Plugin) *Manager {
	return &Manager{layout: layout, mounts: mounts, objects: objects, plugins: plugins, pods: map[string]freshness{}}
}

// wanted is a volume that a pod asks for.
type wanted struct {
	volume *corev1.Volume
	plugin Plugin
	dir    string
}

// desired are the volumes that the pod asks for, in order.
func (m *Manager) desired(pod *corev1.Pod) ([]wanted, error) {
	var out []wanted
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		p := m.pluginOf(v)
		if p == nil {
			return nil, fmt.Errorf("volume %q is of a kind that this node does not have", v.Name)
		}
		out = append(out, wanted{v, p, filepath.Join(m.layout.Volumes(string(pod.UID)), p.Name(), v.Name)})
	}
	return out, nil
}

func (m *Manager) pluginOf(v *corev1.Volume) Plugin {
	for _, p := range m.plugins {
		if p.Supports(v) {
			return p
		}
	}
	return nil
}

// SetUp makes the pod's volumes; called again, it brings their content up to date.
// status holds the pod's addresses. changed is called when an object in them has a
// newer version, until TearDown or Release: Refresh then brings it in.
func (m *Manager) SetUp(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus, changed func()) error {
	all, err := m.desired(pod)
	if err != nil {
		return err
	}
	return m.setUp(ctx, all, pod, status, changed, Plugin.SetUp)
}

// setUp sets each of a pod's volumes up, whatever becomes of the others: a ConfigMap that
// is gone must not keep a token from being renewed.
func (m *Manager) setUp(ctx context.Context, volumes []wanted, pod *corev1.Pod, status *corev1.PodStatus, changed func(), do func(Plugin, context.Context, Mounting) error) error {
	uid := string(pod.UID)
	m.note(uid, freshness{refreshed: time.Now()})
	group := -1
	if sc := pod.Spec.SecurityContext; sc != nil && sc.FSGroup != nil {
		group = int(*sc.FSGroup)
	}
	var errs, waits []error
	for _, w := range volumes {
		err := do(w.plugin, ctx, Mounting{
			Pod: pod, Status: status, Volume: w.volume, Dir: w.dir, Group: group,
			Changed: func() { m.Outdate(uid); changed() },
		})
		switch {
		case err == nil:
		case isPending(err):
			waits = append(waits, err)
		default:
			errs = append(errs, named(w.volume.Name, err))
		}
	}
	if len(errs) > 0 { // what failed is what there is to tell
		return errors.Join(errs...)
	}
	return errors.Join(waits...)
}

// isPending says whether nothing failed: others have not done their part yet.
func isPending(err error) bool {
	var p interface{ Pending() bool }
	return errors.As(err, &p) && p.Pending()
}

// named says which volume failed, unless that is said.
func named(volume string, err error) error {
	if strings.HasPrefix(err.Error(), "MountVolume.") {
		return err
	}
	return fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", volume, err)
}

func (m *Manager) note(uid string, c freshness) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pods[uid] = c
}

// Outdate says that something which the pod's volumes show has changed.
func (m *Manager) Outdate(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.pods[uid]; ok {
		c.outdated = true
		m.pods[uid] = c
	}
}

// Refresh brings the content of volumes up to date when that is due, and returns when
// it is due next without a change (zero: never).
func (m *Manager) Refresh(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus, changed func()) (next time.Time, err error) {
	all, err := m.desired(pod)
	if err != nil {
		return time.Time{}, err
	}
	all = slices.DeleteFunc(all, func(w wanted) bool {
		r, some := w.plugin.(refresher)
		return !w.plugin.Traits().Refreshed && !(some && r.Refreshes(w.dir))
	})
	if len(all) == 0 {
		return time.Time{}, nil
	}
	now := time.Now()
	m.mu.Lock()
	c := m.pods[string(pod.UID)]
	m.mu.Unlock()
	if !c.outdated && now.Before(c.refreshed.Add(refreshPeriod)) {
		return c.refreshed.Add(refreshPeriod), nil
	}
	return now.Add(refreshPeriod), m.setUp(ctx, all, pod, status, changed, refresh)
}

// refresh brings a volume's content up to date, which for most kinds is to set it up again.
func refresh(p Plugin, ctx context.Context, m Mounting) error {
	if r, ok := p.(refresher); ok {
		return r.Refresh(ctx, m)
	}
	return p.SetUp(ctx, m)
}

// Open opens a volume of the pod, which was set up. The caller closes its root.
func (m *Manager) Open(pod *corev1.Pod, name string) (container.Volume, error) {
	all, err := m.desired(pod)
	if err != nil {
		return container.Volume{}, err
	}
	for _, w := range all {
		if w.volume.Name == name {
			v, err := w.plugin.Open(w.volume, w.dir)
			v.ReadOnly = v.ReadOnly || w.plugin.Traits().ReadOnly
			return v, err
		}
	}
	return container.Volume{}, fmt.Errorf("volume %q is mounted and not defined", name)
}

// Release stops to tell of changes.
func (m *Manager) Release(uid string) {
	m.objects.Release(uid)
	for _, p := range m.plugins {
		if r, ok := p.(releaser); ok {
			r.Release(uid)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pods, uid)
}

// present is a volume that is on the disk.
type present struct {
	plugin Plugin // nil: of a kind that this version does not know
	dir    string
}

// actual are the volumes of a pod that are on the disk, whoever made them.
func (m *Manager) actual(uid string) ([]present, error) {
	kinds, err := entries(m.layout.Volumes(uid))
	if err != nil {
		return nil, err
	}
	var out []present
	for _, kind := range kinds {
		volumes, err := entries(kind)
		if err != nil {
			return nil, err
		}
		for _, dir := range volumes {
			p := present{dir: dir}
			for _, plugin := range m.plugins {
				if plugin.Name() == filepath.Base(kind) {
					p.plugin = plugin
				}
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// entries are the paths of what is in a directory, which need not exist.
func entries(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, filepath.Join(dir, e.Name()))
	}
	return out, err
}

// TearDown takes the pod's volumes away, and then its directory. A volume that cannot
// be stays, with the directory, and is an error: TearDown is called again.
func (m *Manager) TearDown(uid string) error {
	m.Release(uid)
	all, err := m.actual(uid)
	if err != nil {
		return fmt.Errorf("list the volumes of pod %s: %w", uid, err)
	}
	var errs []error
	for _, p := range all {
		tearDown := directory{m.mounts}.TearDown
		if p.plugin != nil {
			tearDown = p.plugin.TearDown
		}
		if err := tearDown(p.dir); err != nil {
			errs = append(errs, fmt.Errorf("UnmountVolume.TearDown failed for volume %q: %w", filepath.Base(p.dir), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	dir := m.layout.Pod(uid)
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := m.mounts.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the directory of pod %s: %w", uid, err)
	}
	return nil
}
