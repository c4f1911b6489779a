package attachdetach

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/podclaims"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// key is what is reconciled: a volume on all nodes, or what is attached to a node.
type key struct{ volume, node string }

// Controller reconciles volumes. It has one worker: which node a volume goes to, and what a
// node is told, is decided one after the other.
type Controller struct {
	client  kubernetes.Interface
	claims  corelisters.PersistentVolumeClaimLister
	volumes cache.Indexer
	pods    cache.Indexer
	nodes   corelisters.NodeLister
	events  record.EventRecorder
	clock   clock.PassiveClock
	loop    *reconcile.Loop[key]

	// first is closed when there is a volume of a driver: until then nothing more is watched.
	first     chan struct{}
	openFirst sync.Once
	watched   atomic.Pointer[watched] // nil until all is known

	detaching map[string]bool      // attachments that nodes are not told of any more, by name
	unwanted  map[string]time.Time // since when no pod wants them
	told      map[string]string    // what was told of volumes: of the last failure, of waiting
	made      map[string]string    // the volumes of attachments that the cache may not have yet
}

// watched is what is known once there is a volume of a driver.
type watched struct {
	drivers     storagelisters.CSIDriverLister
	attachments cache.Indexer
}

const (
	byVolume = "volumes-by-handle"     // PersistentVolumes
	byNode   = "attachments-by-node"   // VolumeAttachments
	bySource = "attachments-by-volume" // VolumeAttachments, by the name of the PersistentVolume
)

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core := d.Informers.Core().V1()
	volumes, nodes, claims := core.PersistentVolumes(), core.Nodes(), core.PersistentVolumeClaims()
	pods, err := podclaims.Index(core.Pods().Informer())
	if err != nil {
		return nil, err
	}
	if err := reconcile.Index(volumes.Informer(), byVolume, func(o metav1.Object) []string {
		if v, ok := o.(*corev1.PersistentVolume); ok && v.Spec.CSI != nil {
			return []string{nameOf(v)}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	r := &Controller{
		client: d.Client, claims: claims.Lister(), volumes: volumes.Informer().GetIndexer(), pods: pods, nodes: nodes.Lister(), events: d.Events, clock: d.Clock,
		first: make(chan struct{}), detaching: map[string]bool{}, unwanted: map[string]time.Time{}, told: map[string]string{}, made: map[string]string{},
	}
	r.loop = reconcile.New("attachdetach", d.Log, r.reconcile,
		client.WatchAll(volumes.Informer(), r.volumeSeen),
		client.Watch(claims.Informer(), r.claimSeen, func(_, c *corev1.PersistentVolumeClaim) { r.claimSeen(c) }, nil),
		client.Watch(core.Pods().Informer(), r.podSeen, func(_, p *corev1.Pod) { r.podSeen(p) }, r.podSeen),
		client.Watch(nodes.Informer(), r.nodeSeen, func(_, n *corev1.Node) { r.nodeSeen(n) }, r.nodeSeen))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, _ int) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { r.follow(ctx) })
	return r.loop.Run(ctx, 1)
}

// follow watches drivers and attachments from the first volume of a driver on.
func (r *Controller) follow(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-r.first:
	}
	f := client.Informers(r.client)
	drivers, attachments := f.Storage().V1().CSIDrivers(), f.Storage().V1().VolumeAttachments()
	index := func(name string, of func(*storagev1.VolumeAttachment) string) error {
		return reconcile.Index(attachments.Informer(), name, func(o metav1.Object) []string {
			if a, ok := o.(*storagev1.VolumeAttachment); ok && of(a) != "" {
				return []string{of(a)}
			}
			return nil
		})
	}
	if index(byNode, func(a *storagev1.VolumeAttachment) string { return a.Spec.NodeName }) != nil || index(bySource, sourceOf) != nil {
		return // of an informer that is not started yet, adding an index does not fail
	}
	synced := []cache.InformerSynced{
		client.WatchAll(drivers.Informer(), r.driverSeen),
		client.WatchAll(attachments.Informer(), r.attachmentSeen),
	}
	f.Start(ctx.Done())
	defer f.Shutdown()
	if client.WaitForSync(ctx, synced...) != nil {
		return
	}
	r.watched.Store(&watched{drivers.Lister(), attachments.Informer().GetIndexer()})
	r.eachVolume(func(v *corev1.PersistentVolume) { r.loop.Add(key{volume: nameOf(v)}) })
	nodes, _ := r.nodes.List(labels.Everything()) // of a cache, which does not fail
	for _, n := range nodes {
		r.loop.Add(key{node: n.Name})
	}
	<-ctx.Done()
}

func (r *Controller) eachVolume(do func(*corev1.PersistentVolume)) {
	for _, o := range r.volumes.List() {
		if v, ok := o.(*corev1.PersistentVolume); ok && v.Spec.CSI != nil {
			do(v)
		}
	}
}

func (r *Controller) volumeSeen(v *corev1.PersistentVolume) {
	if v.Spec.CSI == nil {
		return
	}
	r.openFirst.Do(func() { close(r.first) })
	r.loop.Add(key{volume: nameOf(v)})
}

func (r *Controller) claimSeen(c *corev1.PersistentVolumeClaim) {
	if v := r.volumeOf(c); v != nil {
		r.loop.Add(key{volume: nameOf(v)})
	}
}

// volumeOf is the volume of a driver that a claim is bound to, nil where there is none.
func (r *Controller) volumeOf(c *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	if c.Spec.VolumeName == "" || r.watched.Load() == nil {
		return nil
	}
	o, there, err := r.volumes.GetByKey(c.Spec.VolumeName)
	v, ok := o.(*corev1.PersistentVolume)
	if err != nil || !there || !ok || v.Spec.CSI == nil || v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID != c.UID {
		return nil
	}
	return v
}

func (r *Controller) podSeen(p *corev1.Pod) {
	if p.Spec.NodeName == "" || r.watched.Load() == nil {
		return
	}
	for _, name := range pod.ClaimNames(p) {
		if c, err := r.claims.PersistentVolumeClaims(p.Namespace).Get(name); err == nil {
			r.claimSeen(c)
		}
	}
}

// nodeSeen looks at the volumes that are attached to a node: whether it uses them, and
// whether it lives, decides when they are detached.
func (r *Controller) nodeSeen(n *corev1.Node) {
	w := r.watched.Load()
	if w == nil {
		return
	}
	for _, a := range w.on(n.Name) {
		r.attachmentSeen(a)
	}
}

func (r *Controller) attachmentSeen(a *storagev1.VolumeAttachment) {
	r.loop.Add(key{node: a.Spec.NodeName})
	if o, there, err := r.volumes.GetByKey(sourceOf(a)); err == nil && there {
		if v, ok := o.(*corev1.PersistentVolume); ok && v.Spec.CSI != nil {
			r.loop.Add(key{volume: nameOf(v)})
		}
	}
}

func (r *Controller) driverSeen(d *storagev1.CSIDriver) {
	r.eachVolume(func(v *corev1.PersistentVolume) {
		if v.Spec.CSI.Driver == d.Name {
			r.loop.Add(key{volume: nameOf(v)})
		}
	})
}

func (r *Controller) reconcile(ctx context.Context, k key) (again time.Duration, err error) {
	w := r.watched.Load()
	switch {
	case w == nil: // asked again when all is known
		return 0, nil
	case k.node != "":
		_, err := r.tell(ctx, w, k.node)
		return 0, err
	}
	return r.volume(ctx, w, k.volume)
}

func (w *watched) on(node string) []*storagev1.VolumeAttachment { return w.list(byNode, node) }

func (w *watched) list(index, value string) (out []*storagev1.VolumeAttachment) {
	list, _ := w.attachments.ByIndex(index, value) // an index that is there does not fail
	for _, o := range list {
		if a, ok := o.(*storagev1.VolumeAttachment); ok {
			out = append(out, a)
		}
	}
	return out
}
