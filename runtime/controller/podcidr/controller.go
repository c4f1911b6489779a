package podcidr

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Controller reconciles nodes, by name.
type Controller struct {
	client kubernetes.Interface
	nodes  corelisters.NodeLister
	events record.EventRecorder
	log    *slog.Logger
	loop   *reconcile.Loop[string]

	mu   sync.Mutex
	pool *Pool
	of   map[string][]netip.Prefix // what each node holds
}

// New returns the controller of the configured range; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	pool, err := NewPool(d.Config.ClusterCIDRs.First(), d.Config.NodeCIDRMaskSize)
	if err != nil {
		return nil, fmt.Errorf("pod CIDRs: %w", err)
	}
	nodes := d.Informers.Core().V1().Nodes()
	r := &Controller{client: d.Client, nodes: nodes.Lister(), events: d.Events, log: d.Log, pool: pool, of: map[string][]netip.Prefix{}}
	// What nodes hold is noted as events arrive: all of it is, before the first
	// node is given anything, since the loop waits for the initial list.
	r.loop = reconcile.New("podcidr", d.Log, r.reconcile, client.Watch(nodes.Informer(),
		r.note, func(_, n *corev1.Node) { r.note(n) }, r.freed))
	return r, nil
}

// Run reconciles until ctx is done. One worker: nodes are few and order is fair.
func (r *Controller) Run(ctx context.Context, _ int) error { return r.loop.Run(ctx, 1) }

// note learns what a node holds, and queues one that holds nothing. What a node holds
// and was not given is not taken from it, as its pods have the addresses; it is told,
// and no other node is given any of it.
func (r *Controller) note(n *corev1.Node) {
	held := prefixes(n)
	if len(held) == 0 {
		if n.DeletionTimestamp == nil {
			r.loop.Add(n.Name)
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.of[n.Name], held) {
		return
	}
	r.release(n.Name)
	r.of[n.Name] = held
	for _, p := range held {
		if r.pool.Occupy(p) {
			continue
		}
		why := "overlaps another node's or lies outside of the cluster's pod range " + r.pool.base.String()
		r.log.Error("a node's pod CIDR is not one that it was given: recreate its Node", "node", n.Name, "podCIDR", p.String(), "why", why)
		r.events.Eventf(n, corev1.EventTypeWarning, "CIDRAssignmentFailed", "spec.podCIDR %s %s: other nodes make no route to it; delete the Node and restart its kubelet", p, why)
	}
}

// freed gives back what a deleted node held, and queues those that wait.
func (r *Controller) freed(n *corev1.Node) {
	r.mu.Lock()
	r.release(n.Name)
	r.mu.Unlock()
	r.loop.Add(n.Name) // it may have registered again meanwhile
}

// release gives back what a node held, but for what others hold of it. It is called
// with the lock held.
func (r *Controller) release(name string) {
	gone := r.of[name]
	delete(r.of, name)
	for _, p := range gone {
		r.pool.Release(p)
	}
	for _, held := range r.of {
		for _, p := range held {
			if slices.ContainsFunc(gone, p.Overlaps) {
				r.pool.Occupy(p)
			}
		}
	}
}

func prefixes(n *corev1.Node) []netip.Prefix {
	list := n.Spec.PodCIDRs
	if len(list) == 0 && n.Spec.PodCIDR != "" {
		list = []string{n.Spec.PodCIDR}
	}
	var out []netip.Prefix
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func (r *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	n, err := r.nodes.Get(name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read node %s: %w", name, err)
	}
	if n.Spec.PodCIDR != "" || n.DeletionTimestamp != nil {
		return 0, nil
	}
	block, err := r.take(name)
	if err != nil {
		r.events.Eventf(n, corev1.EventTypeWarning, "CIDRNotAvailable", "Node %s status is now: CIDRNotAvailable", name)
		return 0, fmt.Errorf("node %s: %w", name, err)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": n.UID},
		"spec":     map[string]any{"podCIDR": block.String(), "podCIDRs": []string{block.String()}},
	})
	if err != nil {
		return 0, err
	}
	_, err = r.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err == nil {
		r.log.Info("pod CIDR given", "node", name, "podCIDR", block.String())
		return 0, nil
	}
	// The block stays reserved for this node unless it is certain that the write was
	// refused: an answer that got lost must not give one block to two nodes.
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) || apierrors.IsConflict(err) {
		r.give(name)
	}
	return 0, fmt.Errorf("give node %s pod CIDR %s: %w", name, block, err)
}

// take reserves a block for a node, the same one until give.
func (r *Controller) take(name string) (netip.Prefix, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if held := r.of[name]; len(held) > 0 {
		return held[0], nil
	}
	block, err := r.pool.Next()
	if err != nil {
		return netip.Prefix{}, err
	}
	r.of[name] = []netip.Prefix{block}
	return block, nil
}

func (r *Controller) give(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release(name)
}
