package deployment

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllerref"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

var kind = appsv1.SchemeGroupVersion.WithKind("Deployment")

// Controller reconciles Deployments.
type Controller struct {
	client             kubernetes.Interface
	deployments        appslisters.DeploymentLister
	setIndex, podIndex cache.Indexer
	events             record.EventRecorder
	clock              clock.PassiveClock
	loop               *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run, which needs the
// factory's informers to be started.
func New(d reconcile.Deps) (*Controller, error) {
	apps := d.Informers.Apps().V1()
	deployments, setsInformer, podsInformer := apps.Deployments(), apps.ReplicaSets(), d.Informers.Core().V1().Pods()
	for _, i := range []cache.SharedIndexInformer{setsInformer.Informer(), podsInformer.Informer()} {
		if err := controllerref.AddIndex(i); err != nil {
			return nil, fmt.Errorf("deployment: %w", err)
		}
	}
	r := &Controller{
		client: d.Client, deployments: deployments.Lister(),
		setIndex: setsInformer.Informer().GetIndexer(), podIndex: podsInformer.Informer().GetIndexer(),
		events: d.Events, clock: d.Clock,
	}
	r.loop = reconcile.New("deployment", d.Log, r.reconcile,
		client.WatchAll(deployments.Informer(), func(d *appsv1.Deployment) { r.loop.Add(reconcile.Key(d)) }),
		client.Watch(setsInformer.Informer(), r.setChanged, func(old, rs *appsv1.ReplicaSet) {
			if old.ResourceVersion == rs.ResourceVersion {
				return
			}
			r.setChanged(old)
			r.setChanged(rs)
		}, r.setChanged),
		// Recreate waits for the old pods to be gone.
		client.Watch(podsInformer.Informer(), nil, nil, r.podDeleted))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) setChanged(rs *appsv1.ReplicaSet) {
	if ref := metav1.GetControllerOfNoCopy(rs); ref != nil {
		if ref.Kind == kind.Kind {
			r.loop.Add(types.NamespacedName{Namespace: rs.Namespace, Name: ref.Name})
		}
		return
	}
	ds, err := r.deployments.Deployments(rs.Namespace).List(labels.Everything())
	if err != nil {
		return
	}
	for _, d := range ds { // those that could adopt the orphan
		s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		if err == nil && !s.Empty() && s.Matches(labels.Set(rs.Labels)) {
			r.loop.Add(reconcile.Key(d))
		}
	}
}

func (r *Controller) podDeleted(p *corev1.Pod) {
	ref := metav1.GetControllerOfNoCopy(p)
	if ref == nil || ref.Kind != "ReplicaSet" {
		return
	}
	obj, ok, err := r.setIndex.GetByKey(p.Namespace + "/" + ref.Name)
	if err != nil || !ok {
		return
	}
	rs := obj.(*appsv1.ReplicaSet)
	if up := metav1.GetControllerOfNoCopy(rs); up != nil && up.Kind == kind.Kind {
		key := types.NamespacedName{Namespace: p.Namespace, Name: up.Name}
		if d, err := r.deployments.Deployments(key.Namespace).Get(key.Name); err == nil && d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
			r.loop.Add(key)
		}
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	d, err := reconcile.Get(r.deployments.Deployments(key.Namespace), "Deployment "+key.String(), key.Name)
	if d == nil {
		return 0, err
	}
	s, err := r.claim(ctx, d)
	if err != nil {
		return 0, err
	}
	before := d.Status.DeepCopy()
	switch {
	case d.DeletionTimestamp != nil:
	case d.Spec.Paused:
		if c := progressingOf(&d.Status); c == nil || c.Reason != reasonPaused {
			set(&d.Status, progressing(corev1.ConditionUnknown, reasonPaused, "Deployment is paused"), r.clock.Now())
		}
		s, err = r.scaleOnly(ctx, d, s)
	default:
		if c := progressingOf(&d.Status); c != nil && c.Reason == reasonPaused {
			set(&d.Status, progressing(corev1.ConditionUnknown, reasonResumed, "Deployment is resumed"), r.clock.Now())
		}
		s, err = r.rollOut(ctx, d, s)
	}
	var recheck time.Duration
	d.Status, recheck = statusOf(d, s, r.clock.Now())
	_, statusErr := reconcile.WriteStatus(ctx, r.client.AppsV1().Deployments(d.Namespace), kind.Kind, d, before, &d.Status)
	if err != nil {
		return 0, err
	}
	return recheck, statusErr
}

func (r *Controller) claim(ctx context.Context, d *appsv1.Deployment) (sets, error) {
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return sets{}, fmt.Errorf("selector of Deployment %s/%s: %w", d.Namespace, d.Name, err)
	}
	if selector.Empty() { // it would mean every set of the namespace
		return sets{}, nil
	}
	candidates, err := controllerref.Candidates[*appsv1.ReplicaSet](r.setIndex, d)
	if err != nil {
		return sets{}, err
	}
	list, err := controllerref.ClaimObjects(ctx, controllerref.Manager{
		Owner: d, Kind: kind, Selector: selector,
		Live: func(ctx context.Context) (metav1.Object, error) {
			return r.client.AppsV1().Deployments(d.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
		},
		Patch: func(ctx context.Context, name string, patch []byte) error {
			_, err := r.client.AppsV1().ReplicaSets(d.Namespace).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			return err
		},
	}, candidates)
	if err != nil {
		return sets{}, err
	}
	return sortSets(d, list), nil
}

// oldPodsRun says whether a pod of an old set still runs, or may.
func (r *Controller) oldPodsRun(s sets) (bool, error) {
	for _, rs := range s.old {
		list, err := controllerref.Controlled[*corev1.Pod](r.podIndex, rs.UID)
		if err != nil {
			return false, err
		}
		for _, p := range list {
			if !pod.IsTerminal(p) {
				return true, nil
			}
		}
	}
	return false, nil
}
