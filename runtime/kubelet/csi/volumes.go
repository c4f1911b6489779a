package csi

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
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
	*state
	drivers *Drivers
	paths   paths
	locks   locks
}

// state is what is known of volumes: it is on the disk, too, but for who waits.
type state struct {
	cfg     Config
	store   store
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
	v := &Volumes{drivers: drivers, paths: paths{cfg.Shared}, state: &state{
		cfg: cfg, store: store{cfg.Disk, filepath.Join(cfg.Layout.Root, "csi")}, orphans: workqueue.NewTypedRateLimitingQueue(limiter),
		published: map[string]publishRecord{}, staged: map[key]stageRecord{}, waiting: map[string]*waiter{},
	}}
	drivers.came = v.driverSeen
	return v
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
