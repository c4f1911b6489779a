package nodelifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	coordinationlisters "k8s.io/client-go/listers/coordination/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/nodepods"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// retry is how soon a node is looked at again that may not be evicted from yet.
const retry = 5 * time.Second

// Controller reconciles nodes, by name.
type Controller struct {
	client   kubernetes.Interface
	nodes    reconcile.Getter[*corev1.Node]
	leases   coordinationlisters.LeaseLister
	podIndex cache.Indexer
	events   record.EventRecorder
	clock    clock.PassiveClock
	grace    time.Duration
	log      *slog.Logger
	loop     *reconcile.Loop[string]

	mu    sync.Mutex
	beats map[string]heartbeat
	zones zones
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	nodes, leases, pods := d.Informers.Core().V1().Nodes(), d.Informers.Coordination().V1().Leases(), d.Informers.Core().V1().Pods()
	if err := nodepods.AddIndex(pods.Informer()); err != nil {
		return nil, fmt.Errorf("nodelifecycle: %w", err)
	}
	r := &Controller{
		client: d.Client, nodes: nodes.Lister(), leases: leases.Lister(), podIndex: pods.Informer().GetIndexer(),
		events: d.Events, clock: d.Clock, grace: d.Config.NodeMonitorGracePeriod.Duration,
		log: d.Log.With("controller", "nodelifecycle"), beats: map[string]heartbeat{},
	}
	r.loop = reconcile.New("nodelifecycle", d.Log, r.reconcile,
		client.Watch(nodes.Informer(), r.nodeChanged, func(_, n *corev1.Node) { r.nodeChanged(n) }, r.nodeDeleted),
		// A node's lease is only read when the node is looked at. Its renewal queues
		// nothing: thousands of nodes renew every few seconds.
		leases.Informer().HasSynced, pods.Informer().HasSynced)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) nodeChanged(n *corev1.Node) {
	r.mu.Lock()
	r.zones.set(n)
	r.mu.Unlock()
	r.loop.Add(n.Name)
}

func (r *Controller) nodeDeleted(n *corev1.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.beats, n.Name)
	r.zones.remove(n.Name)
}

func (r *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	n, err := reconcile.Get(r.nodes, "node "+name, name)
	if n == nil {
		return 0, err
	}
	again, silent, err := r.observe(n)
	if err != nil {
		return 0, err
	}
	before := n.Status.DeepCopy()
	if silent && markUnknown(n, metav1.NewTime(r.clock.Now())) {
		if n, err = reconcile.WriteStatus(ctx, r.client.CoreV1().Nodes(), "node", n, before, &n.Status); err != nil {
			return 0, err
		}
		r.log.Warn("node fell silent", "node", name, "grace", r.grace.String())
		r.events.Eventf(n, corev1.EventTypeNormal, "NodeNotReady", "Node %s status is now: NodeNotReady", name)
	}
	if notReady(n) {
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

// observe notes signs of life. again is when silence may begin to matter; a node
// that is silent already is looked at again at the pace of a heartbeat.
func (r *Controller) observe(n *corev1.Node) (again time.Duration, silent bool, err error) {
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
	now := r.clock.Now()
	bad := notReady(n)
	r.mu.Lock()
	evict := bad && !r.zones.frozen() && (hasNoExecute(n) || r.zones.mayEvict(n, now))
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

// markPods makes the pods of a node that is not ready not ready themselves, so
// that Services stop sending them traffic.
func (r *Controller) markPods(ctx context.Context, n *corev1.Node) error {
	list, err := nodepods.On(r.podIndex, n.Name)
	if err != nil {
		return err
	}
	for _, p := range list {
		if !pod.IsReady(p) { // most of them, at each look but the first
			continue
		}
		updated := p.DeepCopy()
		if !markNotReady(updated, metav1.NewTime(r.clock.Now())) {
			continue
		}
		if _, err := reconcile.WriteStatus(ctx, r.client.CoreV1().Pods(p.Namespace), "pod", updated, &p.Status, &updated.Status); err != nil {
			return err
		}
	}
	return nil
}
