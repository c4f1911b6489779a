// Package nodelifecycle notices nodes that fall silent, tells the scheduler of
// nodes' conditions by taints, and evicts pods from nodes with NoExecute taints
// as their tolerations say. Decisions are pure (health.go, zones.go, evict.go).
// It imports its sibling packages pods and reconcile.
package nodelifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	coordinationlisters "k8s.io/client-go/listers/coordination/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// retry is how soon a node is looked at again that may not be evicted from yet.
const retry = 5 * time.Second

// Controller reconciles nodes, by name, and pods on tainted nodes.
type Controller struct {
	client   kubernetes.Interface
	nodes    corelisters.NodeLister
	leases   coordinationlisters.LeaseLister
	podIndex cache.Indexer
	events   record.EventRecorder
	clock    clock.PassiveClock
	grace    time.Duration
	log      *slog.Logger
	loop     *reconcile.Loop[string]
	evictor  *evictor

	mu    sync.Mutex
	beats map[string]heartbeat
	zones zones
}

const podsByNode = "node"

// New returns the controller that tolerates grace of silence; it does nothing until Run.
func New(c kubernetes.Interface, f informers.SharedInformerFactory, grace time.Duration, events record.EventRecorder, clk clock.PassiveClock, log *slog.Logger) (*Controller, error) {
	nodes, leases, podsInformer := f.Core().V1().Nodes(), f.Coordination().V1().Leases(), f.Core().V1().Pods()
	err := reconcile.Index(podsInformer.Informer(), podsByNode, func(o metav1.Object) []string {
		if p, ok := o.(*corev1.Pod); ok && p.Spec.NodeName != "" {
			return []string{p.Spec.NodeName}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("nodelifecycle: %w", err)
	}
	r := &Controller{
		client: c, nodes: nodes.Lister(), leases: leases.Lister(), podIndex: podsInformer.Informer().GetIndexer(),
		events: events, clock: clk, grace: grace, log: log.With("controller", "nodelifecycle"), beats: map[string]heartbeat{},
	}
	r.evictor = newEvictor(c, nodes.Lister(), podsInformer, events, clk, log)
	queue := func(n *corev1.Node) { r.loop.Add(n.Name) }
	r.loop = reconcile.New("nodelifecycle", log, r.reconcile,
		reconcile.Watch(nodes.Informer(), queue, func(old, n *corev1.Node) {
			queue(n)
			if !sameTaints(noExecute(old), noExecute(n)) {
				r.evictor.forget(n)
				r.evictor.queueAll(r.podsOn(n.Name))
			}
		}, func(n *corev1.Node) {
			r.mu.Lock()
			delete(r.beats, n.Name)
			r.mu.Unlock()
		}),
		// A node's lease is only read when the node is looked at. Its renewal wakes
		// nothing: thousands of nodes renew every few seconds.
		leases.Informer().HasSynced, podsInformer.Informer().HasSynced)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error {
	var wg sync.WaitGroup
	var evictErr error
	wg.Go(func() { evictErr = r.evictor.loop.Run(ctx, workers) })
	err := r.loop.Run(ctx, workers)
	wg.Wait()
	return errors.Join(err, evictErr)
}

func (r *Controller) podsOn(node string) []*corev1.Pod {
	objs, err := r.podIndex.ByIndex(podsByNode, node)
	if err != nil {
		r.log.Error("cannot find a node's pods", "node", node, "error", err)
		return nil
	}
	out := make([]*corev1.Pod, 0, len(objs))
	for _, o := range objs {
		out = append(out, o.(*corev1.Pod))
	}
	return out
}

func (r *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	cached, err := r.nodes.Get(name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read node %s: %w", name, err)
	}
	n := cached.DeepCopy()
	again, silent, err := r.look(n)
	if err != nil {
		return 0, err
	}
	if silent && markUnknown(n, metav1.NewTime(r.clock.Now())) {
		if n, err = r.client.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{}); err != nil {
			return 0, fmt.Errorf("mark node %s as silent: %w", name, err)
		}
		r.log.Warn("node fell silent", "node", name, "grace", r.grace.String())
		r.events.Eventf(n, corev1.EventTypeNormal, "NodeNotReady", "Node %s status is now: NodeNotReady", name)
	}
	if !isReady(n) && conditionOf(n, corev1.NodeReady) != nil {
		if err := r.markPods(ctx, n); err != nil {
			return 0, err
		}
	}
	waiting, err := r.taint(ctx, n)
	if err != nil {
		return 0, err
	}
	if waiting {
		again = min(again, retry)
	}
	return again, nil
}

// look notes signs of life. again is when silence may begin to matter; a node
// that is silent already is looked at again at the pace of a heartbeat.
func (r *Controller) look(n *corev1.Node) (again time.Duration, silent bool, err error) {
	lease, err := r.leases.Leases(corev1.NamespaceNodeLease).Get(n.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, false, fmt.Errorf("read the lease of node %s: %w", n.Name, err)
	}
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	var old *heartbeat
	if h, ok := r.beats[n.Name]; ok {
		old = &h
	}
	h := observe(old, n, lease, r.grace, now)
	r.beats[n.Name] = h
	silent, left := h.silent(now)
	if silent {
		return retry, true, nil
	}
	return min(left, max(r.grace/8, time.Second)), false, nil
}

// taint brings the node's taints to what its conditions say. waiting: pods are to
// be evicted, but not yet.
func (r *Controller) taint(ctx context.Context, n *corev1.Node) (waiting bool, err error) {
	all, err := r.nodes.List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("list nodes: %w", err)
	}
	now := r.clock.Now()
	bad := !isReady(n) && conditionOf(n, corev1.NodeReady) != nil
	r.mu.Lock()
	r.zones.assess(all)
	evict := bad && !r.zones.frozen && (hasNoExecute(n) || r.zones.mayEvict(n, now))
	r.mu.Unlock()

	want := taintsOf(n, evict, metav1.NewTime(now))
	if sameTaints(n.Spec.Taints, want) {
		return bad && !evict, nil
	}
	// Lists of taints merge as a whole: the version makes sure that nobody else's is lost.
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": n.ResourceVersion, "uid": n.UID},
		"spec":     map[string]any{"taints": append([]corev1.Taint{}, want...)},
	})
	if err != nil {
		return false, err
	}
	if _, err := r.client.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return false, fmt.Errorf("write the taints of node %s: %w", n.Name, err)
	}
	return bad && !evict, nil
}
