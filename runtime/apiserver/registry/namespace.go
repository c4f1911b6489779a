package registry

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// Namespaces deletes a namespace in two steps: it is marked Terminating, and is
// removed when the namespace controller has taken the last of spec.finalizers.
type Namespaces struct{ *Store }

var _ rest.GracefulDeleter = &Namespaces{}

// NewNamespaces returns the resource over its store.
func NewNamespaces(s *Store) *Namespaces {
	s.ShouldDeleteDuringUpdate = func(ctx context.Context, key string, obj, existing runtime.Object) bool {
		ns, ok := obj.(*corev1.Namespace)
		return ok && len(ns.Spec.Finalizers) == 0 && genericregistry.ShouldDeleteDuringUpdate(ctx, key, obj, existing)
	}
	return &Namespaces{s}
}

// DeleteCollection has not the signature of [rest.CollectionDeleter]: namespaces are deleted
// one at a time.
func (r *Namespaces) DeleteCollection() {}

// Delete marks the namespace, or removes it when nothing holds it any more.
func (r *Namespaces) Delete(ctx context.Context, name string, admit rest.ValidateObjectFunc, o *metav1.DeleteOptions) (runtime.Object, bool, error) {
	ns, err := Read[*corev1.Namespace](ctx, r.Store, "", name, Fresh)
	if err != nil {
		return nil, false, err
	}
	if o.Preconditions != nil && o.Preconditions.UID != nil && *o.Preconditions.UID != ns.UID {
		return nil, false, errors.NewConflict(corev1.Resource("namespaces"), name,
			fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s)", *o.Preconditions.UID, ns.UID))
	}
	switch {
	case ns.DeletionTimestamp == nil:
		ns, err = r.terminate(ctx, ns, admit, o)
		return ns, false, err
	case len(ns.Spec.Finalizers) > 0:
		return ns, false, nil
	}
	return r.Store.Delete(ctx, name, admit, o)
}

func (r *Namespaces) terminate(ctx context.Context, ns *corev1.Namespace, admit rest.ValidateObjectFunc, o *metav1.DeleteOptions) (*corev1.Namespace, error) {
	key, err := r.KeyFunc(ctx, ns.Name)
	if err != nil {
		return nil, err
	}
	out := &corev1.Namespace{}
	want := storage.Preconditions{UID: &ns.UID}
	if o.Preconditions != nil {
		want.ResourceVersion = o.Preconditions.ResourceVersion
	}
	err = r.Storage.GuaranteedUpdate(ctx, key, out, false, &want, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		ns := obj.(*corev1.Namespace)
		if admit != nil {
			if err := admit(ctx, ns); err != nil {
				return nil, err
			}
		}
		if ns.DeletionTimestamp == nil {
			now := metav1.Now()
			ns.DeletionTimestamp = &now
		}
		ns.Status.Phase = corev1.NamespaceTerminating
		ns.Finalizers = ofDependents(ns.Finalizers, o)
		return ns, nil
	}), dryrun.IsDryRun(o.DryRun), nil)
	if err != nil {
		return nil, storeerr.InterpretUpdateError(err, corev1.Resource("namespaces"), ns.Name)
	}
	return out, nil
}

// NewFinalize is namespaces/finalize: the controllers' way to take finalizers out
// of spec.
func NewFinalize(s *Store, sub kind.Subresource) *Finalize {
	return &Finalize{newSubresource(s, finalizeStrategy{s.strategy, sub})}
}

// Finalize is a PUT that the generated client sends to namespaces/<name>/finalize. It is
// neither read nor patched.
type Finalize struct{ part *SubresourceREST }

var (
	_ rest.Updater             = &Finalize{}
	_ rest.ResetFieldsStrategy = &Finalize{}
)

// New returns an empty namespace.
func (f *Finalize) New() runtime.Object { return f.part.New() }

// Destroy does nothing: the storage belongs to the namespaces.
func (f *Finalize) Destroy() {}

// Update writes spec.finalizers.
func (f *Finalize) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return f.part.Update(ctx, name, info, create, update, force, o)
}

// GetResetFields names what an apply to the part never owns.
func (f *Finalize) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return f.part.GetResetFields()
}

type finalizeStrategy struct {
	strategy
	sub kind.Subresource
}

func (s finalizeStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (s finalizeStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	finalizers := obj.(*corev1.Namespace).Spec.Finalizers
	s.layout.keepAllButStatus(obj, old)
	s.layout.keepStatus(obj, old)
	obj.(*corev1.Namespace).Spec.Finalizers = finalizers
}

func (s finalizeStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return append(s.finalizers(obj.(*corev1.Namespace)), s.sub.Validate(obj, old)...)
}

func (s finalizeStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.resetFields("status")
}

// ofDependents are the finalizers by which the garbage collector knows what becomes of
// dependents: as the deletion says, or as they are where it says nothing.
func ofDependents(finalizers []string, o *metav1.DeleteOptions) []string {
	set := func(finalizer string, want bool) {
		has := slices.Contains(finalizers, finalizer)
		switch {
		case want && !has:
			finalizers = append(slices.Clone(finalizers), finalizer)
		case !want && has:
			finalizers = slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool { return f == finalizer })
		}
	}
	if orphan := o.OrphanDependents; orphan != nil { //nolint:staticcheck // clients that are older send it
		set(metav1.FinalizerOrphanDependents, *orphan)
		set(metav1.FinalizerDeleteDependents, !*orphan)
	} else if p := o.PropagationPolicy; p != nil {
		set(metav1.FinalizerOrphanDependents, *p == metav1.DeletePropagationOrphan)
		set(metav1.FinalizerDeleteDependents, *p == metav1.DeletePropagationForeground)
	}
	return finalizers
}
