package disruption

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/component-helpers/apps/poddisruptionbudget"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Controller reconciles PodDisruptionBudgets.
type Controller struct {
	client       kubernetes.Interface
	budgets      policylisters.PodDisruptionBudgetLister
	pods         corelisters.PodLister
	replicaSets  appslisters.ReplicaSetLister
	deployments  appslisters.DeploymentLister
	statefulSets appslisters.StatefulSetLister
	clock        clock.PassiveClock
	loop         *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	budgets, podsInformer, apps := d.Informers.Policy().V1().PodDisruptionBudgets(), d.Informers.Core().V1().Pods(), d.Informers.Apps().V1()
	r := &Controller{
		client: d.Client, budgets: budgets.Lister(), pods: podsInformer.Lister(), clock: d.Clock,
		replicaSets: apps.ReplicaSets().Lister(), deployments: apps.Deployments().Lister(), statefulSets: apps.StatefulSets().Lister(),
	}
	r.loop = reconcile.New("disruption", d.Log, r.reconcile,
		client.Watch(budgets.Informer(),
			func(b *policyv1.PodDisruptionBudget) { r.loop.Add(reconcile.Key(b)) },
			func(_, b *policyv1.PodDisruptionBudget) { r.loop.Add(reconcile.Key(b)) }, nil),
		client.Watch(podsInformer.Informer(), r.podChanged, func(old, p *corev1.Pod) {
			if matters(old, p) {
				r.podChanged(old)
				r.podChanged(p)
			}
		}, r.podChanged),
		apps.ReplicaSets().Informer().HasSynced, apps.Deployments().Informer().HasSynced, apps.StatefulSets().Informer().HasSynced)
	return r, nil
}

// matters says whether a change of a pod can be one of a budget's status.
func matters(old, p *corev1.Pod) bool {
	return pod.IsReady(old) != pod.IsReady(p) || pod.IsActive(old) != pod.IsActive(p) || !labels.Equals(old.Labels, p.Labels)
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) podChanged(p *corev1.Pod) {
	list, err := r.budgets.GetPodPodDisruptionBudgets(p)
	if err != nil { // none matches
		return
	}
	for _, b := range list {
		r.loop.Add(reconcile.Key(b))
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	pdb, err := reconcile.Get(r.budgets.PodDisruptionBudgets(key.Namespace), "PodDisruptionBudget "+key.String(), key.Name)
	if pdb == nil {
		return 0, err
	}
	selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
	if err != nil {
		return 0, fmt.Errorf("PodDisruptionBudget %s: selector: %w", key, err)
	}
	list, err := r.pods.Pods(key.Namespace).List(selector)
	if err != nil {
		return 0, fmt.Errorf("list the pods of PodDisruptionBudget %s: %w", key, err)
	}
	matching := list[:0:0]
	for _, p := range list {
		if !pod.IsTerminal(p) {
			matching = append(matching, p)
		}
	}
	status, recheck, err := statusOf(pdb, matching, r.expected(matching), r.clock.Now())
	if err != nil {
		return 0, fmt.Errorf("PodDisruptionBudget %s: %w", key, err)
	}
	before := pdb.Status.DeepCopy()
	pdb.Status = status
	poddisruptionbudget.UpdateDisruptionAllowedCondition(pdb)
	_, err = reconcile.WriteStatus(ctx, r.client.PolicyV1().PodDisruptionBudgets(key.Namespace), "PodDisruptionBudget", pdb, before, &pdb.Status)
	return recheck, err
}

// expected is how many pods the owners of these ask for, each owner counted once.
// A pod without an owner that can be scaled counts for itself.
func (r *Controller) expected(matching []*corev1.Pod) int {
	n, counted := 0, map[types.UID]bool{}
	for _, p := range matching {
		uid, scale, ok := r.scaleOf(p)
		switch {
		case !ok:
			n++
		case !counted[uid]:
			counted[uid] = true
			n += int(scale)
		}
	}
	return n
}

func (r *Controller) scaleOf(p *corev1.Pod) (types.UID, int32, bool) {
	ref := metav1.GetControllerOfNoCopy(p)
	if ref == nil {
		return "", 0, false
	}
	switch ref.Kind {
	case "ReplicaSet":
		rs, err := r.replicaSets.ReplicaSets(p.Namespace).Get(ref.Name)
		if err != nil || rs.UID != ref.UID {
			return "", 0, false
		}
		if up := metav1.GetControllerOfNoCopy(rs); up != nil && up.Kind == "Deployment" {
			if d, err := r.deployments.Deployments(p.Namespace).Get(up.Name); err == nil && d.UID == up.UID {
				return d.UID, ptr.Deref(d.Spec.Replicas, 1), true
			}
		}
		return rs.UID, ptr.Deref(rs.Spec.Replicas, 1), true
	case "StatefulSet":
		s, err := r.statefulSets.StatefulSets(p.Namespace).Get(ref.Name)
		if err != nil || s.UID != ref.UID {
			return "", 0, false
		}
		return s.UID, ptr.Deref(s.Spec.Replicas, 1), true
	}
	return "", 0, false
}
