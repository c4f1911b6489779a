package localvolume

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/record"
	volumehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// key names what is reconciled: a claim that wants a volume, a volume, or a node's capacity.
type key struct{ namespace, claim, volume, node string }

// Controller reconciles claims, volumes and capacities of nodes. It has one worker: what
// is left of a node is not given twice.
type Controller struct {
	client     kubernetes.Interface
	claims     corelisters.PersistentVolumeClaimLister
	volumes    corelisters.PersistentVolumeLister
	nodes      corelisters.NodeLister
	classes    storagelisters.StorageClassLister
	csiNodes   storagelisters.CSINodeLister
	capacities storagelisters.CSIStorageCapacityLister
	events     record.EventRecorder
	// made are the volumes that were written and that the cache may not have yet, by name.
	made map[string]*corev1.PersistentVolume
	loop *reconcile.Loop[key]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core, storage := d.Informers.Core().V1(), d.Informers.Storage().V1()
	claims, volumes, nodes := core.PersistentVolumeClaims(), core.PersistentVolumes(), core.Nodes()
	classes, csiNodes, capacities := storage.StorageClasses(), storage.CSINodes(), storage.CSIStorageCapacities()
	r := &Controller{
		client: d.Client, claims: claims.Lister(), volumes: volumes.Lister(), nodes: nodes.Lister(), classes: classes.Lister(),
		csiNodes: csiNodes.Lister(), capacities: capacities.Lister(), events: d.Events, made: map[string]*corev1.PersistentVolume{},
	}
	claimSeen := func(c *corev1.PersistentVolumeClaim) {
		if wants(c) || grows(c) {
			r.loop.Add(key{namespace: c.Namespace, claim: c.Name})
		}
	}
	r.loop = reconcile.New("localvolume", d.Log, r.reconcile,
		client.Watch(claims.Informer(), claimSeen, func(_, c *corev1.PersistentVolumeClaim) { claimSeen(c) }, nil),
		client.Watch(volumes.Informer(), r.volumeSeen, func(_, v *corev1.PersistentVolume) { r.volumeSeen(v) }, func(v *corev1.PersistentVolume) {
			r.volumeSeen(v)
			r.growing()
		}),
		client.Watch(nodes.Informer(), func(n *corev1.Node) { r.loop.Add(key{node: n.Name}) }, nil, r.nodeGone),
		client.WatchAll(csiNodes.Informer(), func(n *storagev1.CSINode) {
			r.loop.Add(key{node: n.Name})
			r.growing()
		}),
		client.WatchAll(classes.Informer(), r.classSeen),
		client.WatchAll(capacities.Informer(), func(c *storagev1.CSIStorageCapacity) {
			if node := c.Labels[config.LocalVolumeNode]; node != "" {
				r.loop.Add(key{node: node})
			}
		}))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, _ int) error { return r.loop.Run(ctx, 1) }

// wants says whether a claim waits for a volume of ours.
func wants(c *corev1.PersistentVolumeClaim) bool {
	return c.Spec.VolumeName == "" && c.DeletionTimestamp == nil && c.Annotations[volumehelpers.AnnStorageProvisioner] == config.LocalDriver
}

// ours says whether a volume was provisioned here.
func ours(v *corev1.PersistentVolume) bool {
	return v.Annotations[volumehelpers.AnnDynamicallyProvisioned] == config.LocalDriver && v.Spec.Local != nil
}

func (r *Controller) volumeSeen(v *corev1.PersistentVolume) {
	if ours(v) {
		r.loop.Add(key{volume: v.Name})
		r.loop.Add(key{node: v.Labels[config.LocalVolumeNode]})
	}
}

// growing looks again at claims that wait for room to grow.
func (r *Controller) growing() {
	list, _ := r.claims.List(labels.Everything()) // of a cache, which does not fail
	for _, c := range list {
		if grows(c) {
			r.loop.Add(key{namespace: c.Namespace, claim: c.Name})
		}
	}
}

func (r *Controller) nodeGone(n *corev1.Node) {
	r.loop.Add(key{node: n.Name})
	list, _ := r.volumes.List(labels.Everything()) // of a cache, which does not fail
	for _, v := range list {
		if ours(v) && v.Labels[config.LocalVolumeNode] == n.Name {
			r.loop.Add(key{volume: v.Name})
		}
	}
}

func (r *Controller) classSeen(c *storagev1.StorageClass) {
	if c.Provisioner != config.LocalDriver {
		return
	}
	nodes, _ := r.csiNodes.List(labels.Everything())
	for _, n := range nodes {
		r.loop.Add(key{node: n.Name})
	}
	claims, _ := r.claims.List(labels.Everything())
	for _, o := range claims {
		if wants(o) && volumehelpers.GetPersistentVolumeClaimClass(o) == c.Name {
			r.loop.Add(key{namespace: o.Namespace, claim: o.Name})
		}
	}
}

func (r *Controller) reconcile(ctx context.Context, k key) (time.Duration, error) {
	switch {
	case k.claim != "":
		c, err := reconcile.Get(r.claims.PersistentVolumeClaims(k.namespace), "PersistentVolumeClaim "+k.namespace+"/"+k.claim, k.claim)
		switch {
		case c == nil:
			return 0, err
		case wants(c):
			return 0, r.provision(ctx, c)
		case grows(c):
			return 0, r.expand(ctx, c)
		}
		return 0, nil
	case k.volume != "":
		v, err := reconcile.Get(r.volumes, "PersistentVolume "+k.volume, k.volume)
		if err != nil {
			return 0, err
		}
		r.settle(k.volume, v)
		if v == nil {
			return 0, nil
		}
		return 0, r.reclaim(ctx, v)
	}
	return 0, r.publish(ctx, k.node)
}
