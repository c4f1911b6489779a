package tainteviction

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/nodepods"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Controller reconciles pods on nodes with NoExecute taints.
type Controller struct {
	client   kubernetes.Interface
	nodes    corelisters.NodeLister
	pods     corelisters.PodLister
	podIndex cache.Indexer
	events   record.EventRecorder
	clock    clock.PassiveClock
	log      *slog.Logger
	loop     *reconcile.Loop[types.NamespacedName]

	mu sync.Mutex
	// firstSeen is when a taint without a time of its own (set by hand) was first seen.
	firstSeen map[string]time.Time
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	nodes, pods := d.Informers.Core().V1().Nodes(), d.Informers.Core().V1().Pods()
	if err := nodepods.AddIndex(pods.Informer()); err != nil {
		return nil, fmt.Errorf("taint-eviction: %w", err)
	}
	r := &Controller{
		client: d.Client, nodes: nodes.Lister(), pods: pods.Lister(), podIndex: pods.Informer().GetIndexer(), events: d.Events,
		clock: d.Clock, log: d.Log.With("controller", "taint-eviction"), firstSeen: map[string]time.Time{},
	}
	r.loop = reconcile.New("taint-eviction", d.Log, r.reconcile,
		client.Watch(pods.Informer(), r.podAdded, r.podUpdated, nil),
		client.Watch(nodes.Informer(), r.nodeAdded, r.nodeUpdated, r.forgetNode))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) podAdded(p *corev1.Pod) {
	if p.Spec.NodeName != "" {
		r.loop.Add(reconcile.Key(p))
	}
}

func (r *Controller) podUpdated(old, p *corev1.Pod) {
	if old.Spec.NodeName != p.Spec.NodeName || len(old.Spec.Tolerations) != len(p.Spec.Tolerations) {
		r.loop.Add(reconcile.Key(p))
	}
}

func (r *Controller) nodeUpdated(old, n *corev1.Node) {
	same := func(a, b corev1.Taint) bool { return a.MatchTaint(&b) && a.Value == b.Value }
	if slices.EqualFunc(noExecute(old), noExecute(n), same) {
		return
	}
	r.forget(n.Name, n.Spec.Taints)
	r.lookAtPods(n)
}

// nodeAdded has the pods looked at that a node has when it comes: it may be one that
// comes back under its name, with its taints.
func (r *Controller) nodeAdded(n *corev1.Node) {
	if len(noExecute(n)) > 0 {
		r.lookAtPods(n)
	}
}

func (r *Controller) forgetNode(n *corev1.Node) { r.forget(n.Name, nil) }

func (r *Controller) lookAtPods(n *corev1.Node) {
	list, err := nodepods.On(r.podIndex, n.Name)
	if err != nil {
		r.log.Error("pods may stay on a tainted node", "error", err)
	}
	for _, p := range list {
		r.loop.Add(reconcile.Key(p))
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	// A copy is made of those that leave alone: at a start all pods come by here.
	p, err := r.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read pod %s: %w", key, err)
	}
	if p.Spec.NodeName == "" || p.DeletionTimestamp != nil {
		return 0, nil
	}
	n, err := r.nodes.Get(p.Spec.NodeName)
	if apierrors.IsNotFound(err) {
		return 0, nil // pod GC's affair
	}
	if err != nil {
		return 0, fmt.Errorf("read node %s: %w", p.Spec.NodeName, err)
	}
	at, leaves := evictionTime(noExecute(n), p.Spec.Tolerations, func(t corev1.Taint) time.Time { return r.since(n.Name, t) })
	if !leaves {
		return 0, nil
	}
	if left := at.Sub(r.clock.Now()); left > 0 {
		return left, nil // asked again then: the taint may be gone by that time
	}
	return 0, r.evict(ctx, p.DeepCopy())
}

func (r *Controller) since(node string, t corev1.Taint) time.Time {
	if t.TimeAdded != nil {
		return t.TimeAdded.Time
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := node + "\x00" + t.ToString()
	if _, seen := r.firstSeen[key]; !seen {
		r.firstSeen[key] = r.clock.Now()
	}
	return r.firstSeen[key]
}

// forget drops the times of all taints of a node but those that are on it.
func (r *Controller) forget(node string, taints []corev1.Taint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.firstSeen {
		name, taint, _ := strings.Cut(key, "\x00")
		if name == node && !slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.ToString() == taint }) {
			delete(r.firstSeen, key)
		}
	}
}

// evict deletes a pod, after its status says why.
func (r *Controller) evict(ctx context.Context, p *corev1.Pod) error {
	before := p.Status.DeepCopy()
	pod.SetCondition(&p.Status, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
		Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
	}, metav1.NewTime(r.clock.Now()))
	if _, err := reconcile.WriteStatus(ctx, r.client.CoreV1().Pods(p.Namespace), "pod", p, before, &p.Status); err != nil {
		return err
	}
	r.events.Eventf(p, corev1.EventTypeNormal, "TaintManagerEviction", "Marking for deletion Pod %s/%s", p.Namespace, p.Name)
	err := r.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("evict pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	r.log.Info("pod evicted", "pod", p.Namespace+"/"+p.Name, "node", p.Spec.NodeName)
	return nil
}
