package csi

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"

	"github.com/gantry-run/gantry/runtime/durable"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// Mounts is the kernel's mount table.
type Mounts interface {
	// Below are the mount points at dir and below it.
	Below(dir string) ([]string, error)
	// RemoveAll removes a directory, and refuses while anything is mounted in it.
	RemoveAll(dir string) error
}

// Tokens gives service account tokens, bound to a pod.
type Tokens interface {
	Request(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (authnv1.TokenRequestStatus, error)
}

// Secrets reads those of the API.
type Secrets interface {
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Config of Volumes.
type Config struct {
	API      kubernetes.Interface
	NodeName string
	Layout   poddir.Layout
	// Shared is the directory below which drivers mount.
	Shared  string
	Disk    durable.FS // what records are kept on, nil for the host's
	Mounts  Mounts
	Secrets Secrets
	Tokens  Tokens
	// SetGroup gives what lies in a volume to a group.
	SetGroup func(volume *os.File, group int, policy corev1.PodFSGroupChangePolicy) error
	// Node is this one as the cache has it.
	Node func() (*corev1.Node, error)
	// NodeChanged is called when other volumes than before are in use.
	NodeChanged func()
	Events      record.EventRecorder
	Now         func() time.Time
	Log         *slog.Logger
}

// Volumes are those of drivers on this node.
type Volumes struct {
	cfg     Config
	drivers *Drivers
	paths   paths
	store   store
	locks   locks
	orphans workqueue.TypedRateLimitingInterface[key] // staged for no pod

	mu        sync.Mutex
	published map[string]publishRecord // by the directory of the record
	staged    map[key]stageRecord
	waiting   map[string]*waiter // for their attachment, by the directory of the record
}

// waiter is a pod whose volume is not attached yet.
type waiter struct {
	key     key
	uid     string
	since   time.Time
	changed func()
}

// New returns the volumes; nothing is read before Load.
func New(cfg Config, drivers *Drivers) *Volumes {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[key](500*time.Millisecond, 2*time.Minute)
	v := &Volumes{
		cfg: cfg, drivers: drivers, paths: paths{cfg.Shared}, store: store{cfg.Disk, filepath.Join(cfg.Layout.Root, "csi")},
		orphans:   workqueue.NewTypedRateLimitingQueue(limiter),
		published: map[string]publishRecord{}, staged: map[key]stageRecord{}, waiting: map[string]*waiter{},
	}
	drivers.came = v.driverSeen
	return v
}

// Dir is the directory of the record of a pod's volume.
func Dir(l poddir.Layout, uid, volume string) string {
	return filepath.Join(l.Volumes(uid), "csi", volume)
}

// Load takes up what an earlier process knew. It goes before the first pod.
func (v *Volumes) Load() error {
	stages, err := v.store.stages()
	errs := []error{err}
	published := map[string]publishRecord{}
	uids, err := v.cfg.Layout.UIDs()
	errs = append(errs, err)
	for _, uid := range uids {
		list, err := os.ReadDir(Dir(v.cfg.Layout, uid, ""))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range list {
			dir := Dir(v.cfg.Layout, uid, e.Name())
			r, err := load[publishRecord](filepath.Join(dir, recordName))
			switch {
			case err == nil:
				published[dir] = r
			case !errors.Is(err, fs.ErrNotExist): // of a directory without one nothing was done
				errs = append(errs, err)
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.published = published
	for _, s := range stages {
		v.staged[s.key()] = s
		v.abandoned(s.key())
	}
	return errors.Join(errs...)
}

// Run unstages volumes that no pod has any more, until ctx is done.
func (v *Volumes) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, v.orphans.ShutDown)()
	for {
		k, ended := v.orphans.Get()
		if ended {
			return
		}
		switch err := v.unstage(ctx, k); {
		case err == nil:
			v.orphans.Forget(k)
		case ctx.Err() == nil:
			v.cfg.Log.Warn("a volume that no pod has is still staged, will retry", "volume", k, "error", err)
			v.orphans.AddRateLimited(k)
		}
		v.orphans.Done(k)
	}
}

// abandoned has a volume unstaged if no pod has it. It is called with mu held.
func (v *Volumes) abandoned(k key) {
	if _, ok := v.staged[k]; ok && len(v.users(k)) == 0 {
		v.orphans.Add(k)
	}
}

// users are the directories of the pods' records of a volume. It is called with mu held.
func (v *Volumes) users(k key) (dirs []string) {
	for dir, r := range v.published {
		if r.key() == k {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// InUse are the volumes that must stay attached to the node, in order: those that are
// mounted, may be, or are about to be.
func (v *Volumes) InUse() []corev1.UniqueVolumeName {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := map[key]bool{}
	for _, w := range v.waiting {
		all[w.key] = true
	}
	for _, r := range v.published {
		if r.Attach {
			all[r.key()] = true
		}
	}
	for k, s := range v.staged {
		if s.Attach {
			all[k] = true
		}
	}
	var out []corev1.UniqueVolumeName
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, corev1.UniqueVolumeName(k))
	}
	return out
}

// NodeSeen looks at a state of the node, for which pods wait.
func (v *Volumes) NodeSeen(*corev1.Node) {
	v.mu.Lock()
	var wake []func()
	for _, w := range v.waiting {
		wake = append(wake, w.changed)
	}
	v.mu.Unlock()
	for _, changed := range wake {
		changed()
	}
}

// driverSeen tries at once what a driver was missing for.
func (v *Volumes) driverSeen(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for k, s := range v.staged {
		if s.Driver == name {
			v.orphans.Forget(k)
			v.abandoned(k)
		}
	}
}

// Release forgets what a pod waits for.
func (v *Volumes) Release(uid string) {
	v.mu.Lock()
	n := len(v.waiting)
	maps.DeleteFunc(v.waiting, func(_ string, w *waiter) bool { return w.uid == uid })
	changed := len(v.waiting) < n
	v.mu.Unlock()
	if changed {
		v.cfg.NodeChanged()
	}
}

// Mounted is a volume as containers can have it.
type Mounted struct {
	Path     string
	ReadOnly bool
	// Block: Path is a device.
	Block bool
}

// Mounted is what lies at the directory of a record, if it was published.
func (v *Volumes) Mounted(dir string) (Mounted, bool) {
	v.mu.Lock()
	r, ok := v.published[dir]
	v.mu.Unlock()
	return Mounted{Path: r.Target, ReadOnly: r.ReadOnly, Block: r.Block}, ok && r.Published && v.mounted(r)
}

// Known says whether the volume of a directory is a driver's.
func (v *Volumes) Known(dir string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.published[dir]
	return ok
}

// mounted says whether a volume is mounted, which none is after the server was started anew.
func (v *Volumes) mounted(r publishRecord) bool {
	points, err := v.cfg.Mounts.Below(r.Target)
	return err == nil && slices.Contains(points, r.Target)
}

func (v *Volumes) setPublished(dir string, r publishRecord) error {
	if err := v.store.save(filepath.Join(dir, recordName), r); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.published[dir] = r
	return nil
}

func (v *Volumes) setStaged(r stageRecord) error {
	if err := v.store.save(v.store.stagePath(r.key()), r); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.staged[r.key()] = r
	return nil
}

// attachRequired says whether a driver's volumes are attached before they are mounted. Those
// of a driver that nobody told of are.
func attachRequired(d *storagev1.CSIDriver) bool {
	return d == nil || d.Spec.AttachRequired == nil || *d.Spec.AttachRequired
}
