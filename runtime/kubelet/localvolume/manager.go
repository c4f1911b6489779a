package localvolume

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// Config of a Manager.
type Config struct {
	API      kubernetes.Interface
	Nodes    coreinformers.NodeInformer // has this node; whoever made it starts it
	NodeName string
	// Path is the directory of the volumes. It is made with the first of them.
	Path string
	// Capacity is how many bytes they may have together.
	Capacity int64
	// InUse says whether a pod has the opened volume mounted.
	InUse func(*os.File) (bool, error)
	// RemoveAll removes a directory, and refuses while anything is mounted in it.
	RemoveAll func(dir string) error
	Events    record.EventRecorder
	Log       *slog.Logger
}

// Manager keeps the volumes of this server.
type Manager struct {
	cfg   Config
	queue workqueue.TypedRateLimitingInterface[string] // names of volumes; "" is the offer
	// first is closed when there is a volume: until then nothing is watched.
	first     chan struct{}
	openFirst sync.Once
	making    sync.Mutex
	volumes   corelisters.PersistentVolumeLister // nil until then
}

// New returns a manager; nothing is touched before Run or Open.
func New(cfg Config) *Manager {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](100*time.Millisecond, 30*time.Second)
	return &Manager{cfg: cfg, queue: workqueue.NewTypedRateLimitingQueue(limiter), first: make(chan struct{})}
}

// Run offers the node's volumes, and removes those that are deleted, until ctx is done.
func (m *Manager) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, m.queue.ShutDown)()
	own := func(n *corev1.Node) bool { return n.Name == m.cfg.NodeName }
	// A Node that is made anew has lost its CSINode with the one before it.
	client.Watch(m.cfg.Nodes.Informer(), func(n *corev1.Node) {
		if own(n) {
			m.queue.Add("")
		}
	}, func(old, now *corev1.Node) {
		if own(now) && old.UID != now.UID {
			m.queue.Add("")
		}
	}, nil)
	if m.any() {
		m.watch()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { m.follow(ctx) })
	for m.next(ctx) {
	}
}

// any says whether there is a volume on the disk.
func (m *Manager) any() bool {
	list, err := os.ReadDir(m.cfg.Path)
	return err == nil && len(list) > 0
}

// watch begins to watch the objects of this node's volumes.
func (m *Manager) watch() { m.openFirst.Do(func() { close(m.first) }) }

func (m *Manager) follow(ctx context.Context) {
	select {
	case <-m.first:
	case <-ctx.Done():
		return
	}
	f := client.Informers(m.cfg.API, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = labels.SelectorFromSet(labels.Set{config.LocalVolumeNode: m.cfg.NodeName}).String()
	}))
	volumes := f.Core().V1().PersistentVolumes()
	m.making.Lock()
	m.volumes = volumes.Lister()
	m.making.Unlock()
	synced := client.WatchAll(volumes.Informer(), func(v *corev1.PersistentVolume) { m.queue.Add(v.Name) })
	f.Start(ctx.Done())
	defer f.Shutdown()
	if client.WaitForSync(ctx, synced) == nil {
		m.sweep()
	}
	<-ctx.Done()
}

// sweep looks at the directories that were about to be made when the last process ended.
func (m *Manager) sweep() {
	list, err := os.ReadDir(m.cfg.Path)
	if err != nil {
		m.cfg.Log.Warn("the directories of volumes are not looked through", "path", m.cfg.Path, "error", err)
	}
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), makingSuffix); ok {
			m.queue.Add(name)
		}
	}
}

func (m *Manager) next(ctx context.Context) bool {
	name, ended := m.queue.Get()
	if ended {
		return false
	}
	defer m.queue.Done(name)
	var err error
	if name == "" {
		err = m.offer(ctx)
	} else {
		err = m.reclaim(ctx, name)
	}
	switch {
	case err == nil:
		m.queue.Forget(name)
	case ctx.Err() == nil:
		m.cfg.Log.Warn("a volume of this server is not dealt with, will retry", "volume", name, "error", err)
		m.queue.AddRateLimited(name)
	}
	return true
}
