package daemonset

import (
	"context"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/history"
	"github.com/gantry-run/gantry/runtime/controller/internal/podcontrol"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

var kind = appsv1.SchemeGroupVersion.WithKind("DaemonSet")

// A pod that ends on a node is replaced after a pause that doubles up to the longest.
const (
	firstPause   = time.Second
	longestPause = 15 * time.Minute
)

// Controller reconciles DaemonSets.
type Controller struct {
	client   kubernetes.Interface
	sets     appslisters.DaemonSetLister
	nodes    corelisters.NodeLister
	pods     *podcontrol.Pods
	history  *history.Keeper
	expected *expectations.Expectations
	pauses   *flowcontrol.Backoff
	events   record.EventRecorder
	clock    clock.PassiveClock
	loop     *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run, which needs the
// factory's informers to be started.
func New(d reconcile.Deps) (*Controller, error) {
	apps, nodes := d.Informers.Apps().V1(), d.Informers.Core().V1().Nodes()
	sets, revisions, expected := apps.DaemonSets(), apps.ControllerRevisions(), expectations.New(d.Clock)
	owned, err := podcontrol.New(kind, d, expected)
	if err != nil {
		return nil, fmt.Errorf("daemonset: %w", err)
	}
	keeper, err := history.New(kind, appsv1.DefaultDaemonSetUniqueLabelKey, d.Client, revisions.Informer())
	if err != nil {
		return nil, fmt.Errorf("daemonset: %w", err)
	}
	r := &Controller{
		client: d.Client, sets: sets.Lister(), nodes: nodes.Lister(), pods: owned, history: keeper, expected: expected,
		pauses: flowcontrol.NewBackOff(firstPause, longestPause), events: d.Events, clock: d.Clock,
	}
	r.loop = reconcile.New("daemonset", d.Log, r.reconcile,
		client.Watch(sets.Informer(),
			func(ds *appsv1.DaemonSet) { r.enqueue(ds) },
			func(_, ds *appsv1.DaemonSet) { r.enqueue(ds) },
			func(ds *appsv1.DaemonSet) { r.expected.Forget(ds.UID) }),
		client.Watch(nodes.Informer(), func(*corev1.Node) { r.enqueueAll() }, r.nodeUpdated, func(*corev1.Node) { r.enqueueAll() }),
		owned.Watch(func(key types.NamespacedName) { r.loop.Add(key) }, r.enqueueMatching),
		revisions.Informer().HasSynced)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) enqueue(ds *appsv1.DaemonSet) { r.loop.Add(reconcile.Key(ds)) }

func (r *Controller) enqueueAll() {
	list, err := r.sets.List(labels.Everything())
	if err != nil {
		return
	}
	for _, ds := range list {
		r.enqueue(ds)
	}
}

// nodeUpdated queues the sets when something changes by which pods are placed.
// Heartbeats do not.
func (r *Controller) nodeUpdated(old, n *corev1.Node) {
	if !maps.Equal(old.Labels, n.Labels) || !equality.Semantic.DeepEqual(old.Spec.Taints, n.Spec.Taints) {
		r.enqueueAll()
	}
}

// enqueueMatching queues the sets that could adopt a pod.
func (r *Controller) enqueueMatching(p *corev1.Pod) {
	list, err := r.sets.GetPodDaemonSets(p)
	if err != nil { // none matches
		return
	}
	for _, ds := range list {
		r.enqueue(ds)
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	ds, err := reconcile.Get(r.sets.DaemonSets(key.Namespace), "DaemonSet "+key.String(), key.Name)
	if ds == nil || ds.DeletionTimestamp != nil {
		return 0, err
	}
	before := ds.Status.DeepCopy()
	live := func(ctx context.Context) (metav1.Object, error) {
		return r.client.AppsV1().DaemonSets(ds.Namespace).Get(ctx, ds.Name, metav1.GetOptions{})
	}
	past, err := r.history.Sync(ctx, history.Owner{
		Object: ds, Selector: ds.Spec.Selector, Template: &ds.Spec.Template, Collisions: &ds.Status.CollisionCount, Live: live,
	})
	if err != nil {
		return 0, err
	}
	// Asked before the pods are read: what is fulfilled now is in the cache now.
	fulfilled := r.expected.Fulfilled(ds.UID)
	list, err := r.pods.Claim(ctx, ds, ds.Spec.Selector, live, func(*corev1.Pod) bool { return true })
	if err != nil {
		return 0, err
	}
	v, err := r.viewOf(ds, r.history.Hash(past.Current), list)
	if err != nil {
		return 0, err
	}
	var recheck time.Duration
	var failed error
	if fulfilled {
		p := v.plan()
		recheck, failed = p.wait, r.do(ctx, v, p)
		if failed == nil {
			failed = r.history.Trim(ctx, past, ds.Spec.RevisionHistoryLimit, inUse(list))
		}
	}
	var wait time.Duration
	ds.Status, wait = v.status()
	_, err = reconcile.WriteStatus(ctx, r.client.AppsV1().DaemonSets(ds.Namespace), kind.Kind, ds, before, &ds.Status)
	if failed != nil {
		return 0, failed
	}
	return reconcile.Sooner(recheck, wait), err
}

func inUse(list []*corev1.Pod) func(*appsv1.ControllerRevision) bool {
	used := map[string]bool{}
	for _, p := range list {
		used[p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]] = true
	}
	return func(r *appsv1.ControllerRevision) bool { return used[r.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]] }
}

func (r *Controller) viewOf(ds *appsv1.DaemonSet, hash string, list []*corev1.Pod) (view, error) {
	nodes, err := r.nodes.List(labels.Everything())
	if err != nil {
		return view{}, fmt.Errorf("list nodes: %w", err)
	}
	nodePods, err := podsByNode(ds, nodes, list)
	if err != nil {
		return view{}, fmt.Errorf("DaemonSet %s/%s: %w", ds.Namespace, ds.Name, err)
	}
	now := r.clock.Now()
	return view{ds: ds, hash: hash, nodes: nodePods, now: now, pause: func(node string) time.Duration {
		key := pauseKey(ds, node)
		if !r.pauses.IsInBackOffSinceUpdate(key, now) {
			return 0
		}
		return r.pauses.Get(key)
	}}, nil
}

// pauseKey is another one with each generation: a set that was mended is not
// held up.
func pauseKey(ds *appsv1.DaemonSet, node string) string {
	return fmt.Sprintf("%s/%d/%s", ds.UID, ds.Generation, node)
}

// do deletes first: a pod that is too many may hold what another one needs.
func (r *Controller) do(ctx context.Context, v view, p plan) error {
	for _, pod := range p.failed {
		r.pauses.Next(pauseKey(v.ds, nodeOf(pod)), v.now)
		r.events.Eventf(v.ds, corev1.EventTypeWarning, "FailedDaemonPod", "Found failed daemon pod %s/%s on node %s, will try to kill it",
			pod.Namespace, pod.Name, nodeOf(pod))
	}
	if len(p.failed) > 0 {
		r.pauses.GC()
	}
	if len(p.delete) > 0 {
		if err := r.pods.Delete(ctx, v.ds, p.delete); err != nil {
			return err
		}
	}
	if len(p.create) == 0 {
		return nil
	}
	return r.pods.Create(ctx, v.ds, len(p.create), func(i int) *corev1.Pod {
		return newPod(v.ds, p.create[i], v.hash, r.pods.Ref(v.ds))
	})
}
