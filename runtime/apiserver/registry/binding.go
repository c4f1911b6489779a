package registry

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/dryrun"
)

// Binding is pods/binding: the scheduler's decision, written once.
type Binding struct{ pods *Store }

var (
	_ rest.NamedCreater                   = &Binding{}
	_ rest.SubresourceObjectMetaPreserver = &Binding{}
)

// NewBinding returns the subresource.
func NewBinding(pods *Store) *Binding { return &Binding{pods} }

// New returns an empty Binding.
func (r *Binding) New() runtime.Object { return &corev1.Binding{} }

// Destroy does nothing: the storage belongs to pods.
func (r *Binding) Destroy() {}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate keeps the UID that the
// scheduler saw, so that it binds that pod and no later one of the same name.
func (r *Binding) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Create sets the pod's node. It refuses a pod that has one, is being deleted, is
// held by scheduling gates, or is not the pod the binding was made for.
func (r *Binding) Create(ctx context.Context, name string, obj runtime.Object, admit rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	b, ok := obj.(*corev1.Binding)
	if !ok {
		return nil, errors.NewBadRequest(fmt.Sprintf("a Binding is expected, not a %T", obj))
	}
	if b.Name != name {
		return nil, errors.NewBadRequest("name in URL does not match name in Binding object")
	}
	if errs := validateTarget(&b.Target); len(errs) > 0 {
		return nil, errors.NewBadRequest(errs.ToAggregate().Error())
	}
	if admit != nil {
		if err := admit(ctx, b.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	key, err := r.pods.KeyFunc(ctx, name)
	if err != nil {
		return nil, err
	}
	var pre *storage.Preconditions
	if b.UID != "" || b.ResourceVersion != "" {
		pre = &storage.Preconditions{}
		if b.UID != "" {
			pre.UID = &b.UID
		}
		if b.ResourceVersion != "" {
			pre.ResourceVersion = &b.ResourceVersion
		}
	}
	bind := storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		pod := obj.(*corev1.Pod)
		if err := bindable(pod); err != nil {
			return nil, errors.NewConflict(corev1.Resource("pods/binding"), name, err)
		}
		pod.Spec.NodeName = b.Target.Name
		pod.Status.NominatedNodeName = "" // it has served its purpose
		pod.Annotations = merged(pod.Annotations, b.Annotations)
		// Admission puts the topology of the node into the binding.
		pod.Labels = merged(pod.Labels, b.Labels)
		markScheduled(pod)
		return pod, nil
	})
	err = r.pods.Storage.GuaranteedUpdate(ctx, key, &corev1.Pod{}, false, pre, bind, dryrun.IsDryRun(o.DryRun), nil)
	if err != nil {
		if storage.IsNotFound(err) {
			return nil, errors.NewNotFound(corev1.Resource("pods"), name)
		}
		if storage.IsConflict(err) || storage.IsInvalidObj(err) {
			return nil, errors.NewConflict(corev1.Resource("pods/binding"), name, err)
		}
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

func validateTarget(t *corev1.ObjectReference) field.ErrorList {
	path := field.NewPath("target")
	node := t.Kind == "" || t.Kind == "Node"
	var errs field.ErrorList
	if !node {
		errs = append(errs, field.NotSupported(path.Child("kind"), t.Kind, []string{"Node", "<empty>"}))
	}
	if t.Name == "" {
		return append(errs, field.Required(path.Child("name"), ""))
	}
	if node {
		for _, msg := range validation.NameIsDNSSubdomain(t.Name, false) {
			errs = append(errs, field.Invalid(path.Child("name"), t.Name, msg))
		}
	}
	return errs
}

// Bindings is the binding of a pod that the object names, in place of the path.
type Bindings struct{ of *Binding }

var (
	_ rest.Creater              = &Bindings{}
	_ rest.Scoper               = &Bindings{}
	_ rest.SingularNameProvider = &Bindings{}
)

// NewBindings returns what serves objects of kind Binding.
func NewBindings(pods *Store) *Bindings { return &Bindings{NewBinding(pods)} }

// New returns an empty Binding.
func (r *Bindings) New() runtime.Object { return r.of.New() }

// Destroy does nothing: the storage belongs to pods.
func (r *Bindings) Destroy() {}

// NamespaceScoped is that of pods.
func (r *Bindings) NamespaceScoped() bool { return true }

// GetSingularName is the name for people.
func (r *Bindings) GetSingularName() string { return "binding" }

// Create is [Binding.Create] of the pod that has the object's name.
func (r *Bindings) Create(ctx context.Context, obj runtime.Object, admit rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, errors.NewBadRequest(fmt.Sprintf("a Binding is expected, not a %T", obj))
	}
	return r.of.Create(ctx, m.GetName(), obj, admit, o)
}

// merged is a map with what another adds to it; neither is changed.
func merged(m, more map[string]string) map[string]string {
	if len(more) == 0 {
		return m
	}
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, more)
	return out
}

func bindable(pod *corev1.Pod) error {
	switch {
	case pod.DeletionTimestamp != nil:
		return fmt.Errorf("pod %s is being deleted, cannot be assigned to a host", pod.Name)
	case pod.Spec.NodeName != "":
		return fmt.Errorf("pod %s is already assigned to node %q", pod.Name, pod.Spec.NodeName)
	case len(pod.Spec.SchedulingGates) > 0:
		return fmt.Errorf("pod %s has non-empty .spec.schedulingGates", pod.Name)
	}
	return nil
}

func markScheduled(pod *corev1.Pod) {
	c := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now(), ObservedGeneration: pod.Generation}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodScheduled {
			pod.Status.Conditions[i] = c
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, c)
}
