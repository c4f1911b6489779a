package registry

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/dryrun"
	"k8s.io/utils/ptr"

	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// maxDisrupted bounds how many evictions a budget tracks at once: above that the
// disruption controller is behind, and more would only make it worse.
const maxDisrupted = 2000

// Eviction is pods/eviction: a deletion that disruption budgets may refuse.
type Eviction struct {
	pods, budgets *Store
	status        *SubresourceREST // of pods
}

var (
	_ rest.NamedCreater             = &Eviction{}
	_ rest.GroupVersionKindProvider = &Eviction{}
)

// NewEviction returns the subresource.
func NewEviction(pods, budgets *Store) *Eviction { return &Eviction{pods, budgets, pods.Status()} }

// GroupVersionKind is that of the request.
func (r *Eviction) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return policyv1.SchemeGroupVersion.WithKind("Eviction")
}

// New returns an empty request.
func (r *Eviction) New() runtime.Object { return &policyv1.Eviction{} }

// Destroy does nothing: the storage belongs to others.
func (r *Eviction) Destroy() {}

// Create deletes the pod, once its budget has given its consent.
func (r *Eviction) Create(ctx context.Context, name string, obj runtime.Object, admit rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	e, ok := obj.(*policyv1.Eviction)
	if !ok {
		return nil, errors.NewBadRequest(fmt.Sprintf("an Eviction is expected, not a %T", obj))
	}
	if e.Name != name {
		return nil, errors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	if e.DeleteOptions != nil && ptr.Deref(e.DeleteOptions.IgnoreStoreReadErrorWithClusterBreakingPotential, false) {
		return nil, errors.NewInvalid(policyv1.SchemeGroupVersion.WithKind("Eviction").GroupKind(), name, field.ErrorList{
			field.Invalid(field.NewPath("deleteOptions", "ignoreStoreReadErrorWithClusterBreakingPotential"), true, "can not be set for pod eviction, try after removing the option"),
		})
	}
	if admit != nil {
		if err := admit(ctx, e.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	del := e.DeleteOptions
	if del == nil {
		del = &metav1.DeleteOptions{}
	}
	del = del.DeepCopy()
	if dryrun.IsDryRun(o.DryRun) {
		del.DryRun = o.DryRun
	}
	pod, err := Read[*corev1.Pod](ctx, r.pods, genericapirequest.NamespaceValue(ctx), name, Fresh)
	if err != nil {
		return nil, err
	}
	if !disruptsNothing(pod) {
		if err := r.ask(ctx, pod, dryrun.IsDryRun(del.DryRun)); err != nil {
			return nil, err
		}
	}
	if del.Preconditions == nil {
		del.Preconditions = &metav1.Preconditions{UID: &pod.UID}
	}
	if !dryrun.IsDryRun(del.DryRun) {
		if err := r.mark(ctx, name, del.Preconditions); err != nil {
			return nil, err
		}
	}
	if _, _, err := r.pods.Delete(ctx, name, rest.ValidateAllObjectFunc, del); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// mark says in the pod's status that it is disrupted, by which a Job tells its end from a
// failure of its own. A version that the client wants deleted is the one after that.
func (r *Eviction) mark(ctx context.Context, name string, want *metav1.Preconditions) error {
	marked := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		pod := old.(*corev1.Pod).DeepCopy()
		if uid := want.UID; uid != nil && *uid != pod.UID {
			return nil, conflict(name, "UID", *uid, pod.UID)
		}
		if v := want.ResourceVersion; v != nil && *v != pod.ResourceVersion {
			return nil, conflict(name, "ResourceVersion", *v, pod.ResourceVersion)
		}
		podutil.SetCondition(&pod.Status, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, ObservedGeneration: pod.Generation,
			Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
		}, metav1.Now())
		return pod, nil
	})
	obj, _, err := r.status.Update(ctx, name, marked, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	if want.ResourceVersion != nil {
		want.ResourceVersion = &obj.(*corev1.Pod).ResourceVersion
	}
	return nil
}

func conflict[T ~string](name, what string, wanted, is T) error {
	return errors.NewConflict(corev1.Resource("pods"), name,
		fmt.Errorf("Precondition failed: %s in precondition: %v, %s in object meta: %v", what, wanted, what, is)) //nolint:staticcheck // the words of upstream
}

// disruptsNothing: pods that do not run yet, or no more, are in no budget's count.
func disruptsNothing(p *corev1.Pod) bool {
	switch p.Status.Phase {
	case corev1.PodSucceeded, corev1.PodFailed, corev1.PodPending:
		return true
	}
	return p.DeletionTimestamp != nil
}

// ask takes one disruption from the budget of the pod, if it has one.
func (r *Eviction) ask(ctx context.Context, pod *corev1.Pod, dry bool) error {
	list, err := ListWhere[*policyv1.PodDisruptionBudgetList](ctx, r.budgets, pod.Namespace, nil, Fresh)
	if err != nil {
		return err
	}
	var mine []*policyv1.PodDisruptionBudget
	for i := range list.Items {
		selector, err := metav1.LabelSelectorAsSelector(list.Items[i].Spec.Selector)
		if err == nil && list.Items[i].Spec.Selector != nil && selector.Matches(labels.Set(pod.Labels)) {
			mine = append(mine, &list.Items[i])
		}
	}
	switch len(mine) {
	case 0:
		return nil
	case 1:
		return r.take(ctx, mine[0], pod, dry)
	}
	return errors.NewInternalError(fmt.Errorf("pod %s/%s is in more than one PodDisruptionBudget, which the eviction subresource does not support", pod.Namespace, pod.Name))
}

func (r *Eviction) take(ctx context.Context, b *policyv1.PodDisruptionBudget, pod *corev1.Pod, dry bool) error {
	if !podutil.IsReady(pod) && unreadyMayGo(b) {
		return nil
	}
	key, err := r.budgets.KeyFunc(genericapirequest.WithNamespace(ctx, b.Namespace), b.Name)
	if err != nil {
		return err
	}
	uid := b.UID
	return r.budgets.Storage.GuaranteedUpdate(ctx, key, &policyv1.PodDisruptionBudget{}, false, &storage.Preconditions{UID: &uid},
		storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
			b := obj.(*policyv1.PodDisruptionBudget)
			return b, disrupt(b, pod.Name)
		}), dry, nil)
}

// unreadyMayGo tells whether the budget lets a pod go that serves nothing anyway.
func unreadyMayGo(b *policyv1.PodDisruptionBudget) bool {
	if p := b.Spec.UnhealthyPodEvictionPolicy; p != nil && *p == policyv1.AlwaysAllow {
		return true
	}
	return b.Status.DesiredHealthy > 0 && b.Status.CurrentHealthy >= b.Status.DesiredHealthy
}

// disrupt counts one more disruption, or says why there may be none.
func disrupt(b *policyv1.PodDisruptionBudget, pod string) error {
	refuse := func(reason string) error {
		err := errors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
			Type: policyv1.DisruptionBudgetCause, Message: fmt.Sprintf("The disruption budget %s %s", b.Name, reason),
		})
		return err
	}
	s := &b.Status
	switch {
	case s.ObservedGeneration < b.Generation:
		return refuse("is still being processed by the server.")
	case s.DisruptionsAllowed <= 0:
		return refuse(fmt.Sprintf("needs %d healthy pods and has %d currently", s.DesiredHealthy, s.CurrentHealthy))
	case len(s.DisruptedPods) > maxDisrupted:
		return refuse("has too many evictions not yet confirmed")
	}
	s.DisruptionsAllowed--
	if s.DisruptedPods == nil {
		s.DisruptedPods = map[string]metav1.Time{}
	}
	s.DisruptedPods[pod] = metav1.Now()
	return nil
}
