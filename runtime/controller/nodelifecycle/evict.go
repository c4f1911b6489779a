package nodelifecycle

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
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// dueAt says when a pod must leave a node with these NoExecute taints: at once for
// a taint it does not tolerate, otherwise when the shortest of its limited
// tolerations ends, each counted from since(taint). ok is false when it may stay.
func dueAt(taints []corev1.Taint, tolerations []corev1.Toleration, since func(corev1.Taint) time.Time) (due time.Time, ok bool) {
	for i := range taints {
		t := &taints[i]
		tolerated := false
		var limit *time.Duration
		for j := range tolerations {
			if !tolerations[j].ToleratesTaint(klog.Background(), t, true) {
				continue
			}
			tolerated = true
			if s := tolerations[j].TolerationSeconds; s != nil {
				d := time.Duration(max(*s, 0)) * time.Second
				if limit == nil || d < *limit {
					limit = &d
				}
			}
		}
		at := since(*t)
		switch {
		case tolerated && limit == nil:
			continue
		case tolerated:
			at = at.Add(*limit)
		}
		if !ok || at.Before(due) {
			due, ok = at, true
		}
	}
	return due, ok
}

func noExecute(n *corev1.Node) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoExecute {
			out = append(out, t)
		}
	}
	return out
}

// evictor deletes pods from nodes with NoExecute taints, each at its time.
type evictor struct {
	client kubernetes.Interface
	nodes  corelisters.NodeLister
	pods   corelisters.PodLister
	events record.EventRecorder
	clock  clock.PassiveClock
	log    *slog.Logger
	loop   *reconcile.Loop[types.NamespacedName]

	mu sync.Mutex
	// first is when a taint without a time of its own (set by hand) was first seen.
	first map[string]time.Time
}

func newEvictor(c kubernetes.Interface, nodes corelisters.NodeLister, podsInformer coreinformers.PodInformer, events record.EventRecorder, clk clock.PassiveClock, log *slog.Logger) *evictor {
	e := &evictor{
		client: c, nodes: nodes, pods: podsInformer.Lister(), events: events, clock: clk,
		log: log.With("controller", "taint-eviction"), first: map[string]time.Time{},
	}
	e.loop = reconcile.New("taint-eviction", log, e.reconcile, reconcile.Watch(podsInformer.Informer(),
		func(p *corev1.Pod) {
			if p.Spec.NodeName != "" {
				e.loop.Add(reconcile.Key(p))
			}
		},
		func(old, p *corev1.Pod) {
			if old.Spec.NodeName != p.Spec.NodeName || len(old.Spec.Tolerations) != len(p.Spec.Tolerations) {
				e.loop.Add(reconcile.Key(p))
			}
		}, nil))
	return e
}

func (e *evictor) queueAll(list []*corev1.Pod) {
	for _, p := range list {
		e.loop.Add(reconcile.Key(p))
	}
}

func (e *evictor) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	p, err := e.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read pod %s: %w", key, err)
	}
	if p.Spec.NodeName == "" || p.DeletionTimestamp != nil {
		return 0, nil
	}
	n, err := e.nodes.Get(p.Spec.NodeName)
	if apierrors.IsNotFound(err) {
		return 0, nil // pod GC's affair
	}
	if err != nil {
		return 0, fmt.Errorf("read node %s: %w", p.Spec.NodeName, err)
	}
	due, leaves := dueAt(noExecute(n), p.Spec.Tolerations, func(t corev1.Taint) time.Time { return e.since(n.Name, t) })
	if !leaves {
		return 0, nil
	}
	if left := due.Sub(e.clock.Now()); left > 0 {
		return left, nil // asked again then: the taint may be gone by that time
	}
	return 0, e.evict(ctx, p)
}

func (e *evictor) since(node string, t corev1.Taint) time.Time {
	if t.TimeAdded != nil {
		return t.TimeAdded.Time
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := node + "\x00" + t.ToString()
	if _, seen := e.first[key]; !seen {
		e.first[key] = e.clock.Now()
	}
	return e.first[key]
}

// forget drops the times of taints that are no longer on the node.
func (e *evictor) forget(n *corev1.Node) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.first {
		name, taint, _ := strings.Cut(key, "\x00")
		if name == n.Name && !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.ToString() == taint }) {
			delete(e.first, key)
		}
	}
}

func (e *evictor) evict(ctx context.Context, p *corev1.Pod) error {
	updated := p.DeepCopy()
	if pod.SetCondition(&updated.Status, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
		Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
	}, metav1.NewTime(e.clock.Now())) {
		if _, err := e.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, updated, metav1.UpdateOptions{}); err != nil {
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("note the eviction of pod %s/%s: %w", p.Namespace, p.Name, err)
		}
	}
	e.events.Eventf(p, corev1.EventTypeNormal, "TaintManagerEviction", "Marking for deletion Pod %s/%s", p.Namespace, p.Name)
	err := e.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("evict pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	e.log.Info("pod evicted", "pod", p.Namespace+"/"+p.Name, "node", p.Spec.NodeName)
	return nil
}

// markPods makes the pods of a node that is not ready not ready themselves, so
// that Services stop sending them traffic.
func (r *Controller) markPods(ctx context.Context, n *corev1.Node) error {
	for _, p := range r.podsOn(n.Name) {
		if !pod.IsReady(p) || pod.IsTerminal(p) {
			continue
		}
		updated := p.DeepCopy()
		c := *pod.Condition(&updated.Status, corev1.PodReady)
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "NodeNotReady", "Node is not ready"
		pod.SetCondition(&updated.Status, c, metav1.NewTime(r.clock.Now()))
		_, err := r.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, updated, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("mark pod %s/%s as not ready: %w", p.Namespace, p.Name, err)
		}
	}
	return nil
}
