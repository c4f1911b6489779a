package statefulset

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/history"
	"github.com/gantry-run/gantry/runtime/controller/internal/podcontrol"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

var kind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")

// hashLabel is where revisions of stateful sets have their hash. Pods have the
// revision's name instead.
const hashLabel = "controller.kubernetes.io/hash"

// Controller reconciles StatefulSets.
type Controller struct {
	client   kubernetes.Interface
	sets     appslisters.StatefulSetLister
	pods     *podcontrol.Pods
	history  *history.Keeper
	expected *expectations.Expectations
	written  expectations.Writes
	events   record.EventRecorder
	clock    clock.PassiveClock
	loop     *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run, which needs the
// factory's informers to be started.
func New(d reconcile.Deps) (*Controller, error) {
	sets, revisions := d.Informers.Apps().V1().StatefulSets(), d.Informers.Apps().V1().ControllerRevisions()
	expected := expectations.New(d.Clock)
	owned, err := podcontrol.New(kind, d, expected)
	if err != nil {
		return nil, fmt.Errorf("statefulset: %w", err)
	}
	keeper, err := history.New(kind, hashLabel, d.Client, revisions.Informer())
	if err != nil {
		return nil, fmt.Errorf("statefulset: %w", err)
	}
	r := &Controller{client: d.Client, sets: sets.Lister(), pods: owned, history: keeper, expected: expected, events: d.Events, clock: d.Clock}
	r.loop = reconcile.New("statefulset", d.Log, r.reconcile,
		client.Watch(sets.Informer(),
			func(s *appsv1.StatefulSet) { r.loop.Add(reconcile.Key(s)) },
			func(_, s *appsv1.StatefulSet) { r.loop.Add(reconcile.Key(s)) },
			func(s *appsv1.StatefulSet) { r.expected.Forget(s.UID); r.written.Forget(s.UID) }),
		owned.Watch(func(key types.NamespacedName) { r.loop.Add(key) }, r.enqueueMatching),
		revisions.Informer().HasSynced)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// enqueueMatching queues the sets that could adopt a pod.
func (r *Controller) enqueueMatching(p *corev1.Pod) {
	list, err := r.sets.GetPodStatefulSets(p)
	if err != nil { // none matches
		return
	}
	for _, s := range list {
		if ordinalOf(s, p) >= 0 {
			r.loop.Add(reconcile.Key(s))
		}
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	set, err := reconcile.Get(r.sets.StatefulSets(key.Namespace), "StatefulSet "+key.String(), key.Name)
	if set == nil || set.DeletionTimestamp != nil || !r.written.Seen(set) {
		return 0, err
	}
	before := set.Status.DeepCopy()
	live := func(ctx context.Context) (metav1.Object, error) {
		return r.client.AppsV1().StatefulSets(set.Namespace).Get(ctx, set.Name, metav1.GetOptions{})
	}
	past, err := r.history.Sync(ctx, history.Owner{
		Object: set, Selector: set.Spec.Selector, Template: &set.Spec.Template, Collisions: &set.Status.CollisionCount, Live: live,
	})
	if err != nil {
		return 0, err
	}
	fulfilled := r.expected.Fulfilled(set.UID) // before the pods are read
	list, err := r.pods.Claim(ctx, set, set.Spec.Selector, live, func(p *corev1.Pod) bool { return ordinalOf(set, p) >= 0 })
	if err != nil {
		return 0, err
	}
	current := past.Named(set.Status.CurrentRevision)
	if current == nil { // the first, or one that somebody deleted
		current = past.Current
	}
	v := viewOf(set, list, current.Name, past.Current.Name, r.clock.Now())
	var failed error
	if fulfilled {
		if failed = r.followPolicy(ctx, v); failed != nil {
			v.observed = before.ObservedGeneration // asked again until the claims follow
		}
		failed = errors.Join(failed, r.do(ctx, v, v.plan(), current))
	}
	wait, err := r.writeStatus(ctx, v, before)
	if failed == nil && err == nil {
		failed = r.history.Trim(ctx, past, set.Spec.RevisionHistoryLimit, inUse(v, list))
	}
	return wait, errors.Join(failed, err)
}

// followPolicy brings all claims in line when the set has changed.
func (r *Controller) followPolicy(ctx context.Context, v view) error {
	if v.set.Generation == v.set.Status.ObservedGeneration || len(v.set.Spec.VolumeClaimTemplates) == 0 {
		return nil
	}
	for _, p := range v.slots {
		if p == nil {
			continue
		}
		if err := r.keepClaims(ctx, v.set, p, false); err != nil {
			return err
		}
	}
	return nil
}

func (r *Controller) do(ctx context.Context, v view, p plan, current *appsv1.ControllerRevision) error {
	for _, pod := range p.condemned {
		if err := r.keepClaims(ctx, v.set, pod, true); err != nil {
			return err
		}
	}
	if len(p.delete) > 0 {
		if err := r.pods.Delete(ctx, v.set, p.delete); err != nil {
			return err
		}
	}
	if len(p.create) == 0 {
		return nil
	}
	before, err := history.Template(current)
	if err != nil {
		return err
	}
	for _, ordinal := range p.create {
		if err := r.makeClaims(ctx, v.set, ordinal); err != nil {
			return err
		}
	}
	return r.pods.Create(ctx, v.set, len(p.create), func(i int) *corev1.Pod {
		template, name := &v.set.Spec.Template, v.revisionFor(p.create[i])
		if name != v.update {
			template = before
		}
		return newPod(v.set, template, name, p.create[i], r.pods.Ref(v.set))
	})
}

func inUse(v view, list []*corev1.Pod) func(*appsv1.ControllerRevision) bool {
	used := map[string]bool{v.current: true, v.update: true}
	for _, p := range list {
		used[revisionOf(p)] = true
	}
	return func(r *appsv1.ControllerRevision) bool { return used[r.Name] }
}

// writeStatus writes the status that the pods give, when it differs.
func (r *Controller) writeStatus(ctx context.Context, v view, before *appsv1.StatefulSetStatus) (wait time.Duration, err error) {
	v.set.Status, wait = v.status()
	made, err := reconcile.WriteStatus(ctx, r.client.AppsV1().StatefulSets(v.set.Namespace), kind.Kind, v.set, before, &v.set.Status)
	if err == nil && made != v.set { // one that was not written is not waited for
		r.written.Wrote(made)
	}
	return wait, err
}
