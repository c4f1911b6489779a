package flowcontrol

import (
	"context"
	"fmt"
	"strconv"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// fieldManager is upstream's name for who writes these objects.
const fieldManager = "api-priority-and-fairness-config-producer-v1"

// keeper keeps the objects of one kind.
type keeper[T metav1.Object] struct {
	client interface {
		Create(ctx context.Context, obj T, o metav1.CreateOptions) (T, error)
		Update(ctx context.Context, obj T, o metav1.UpdateOptions) (T, error)
		Delete(ctx context.Context, name string, o metav1.DeleteOptions) error
	}
	cache interface {
		Get(name string) (T, error)
		List(labels.Selector) ([]T, error)
	}
	copyOf  func(T) T
	same    func(a, b T) bool
	setSpec func(to, from T)
	wrote   *bool // set by what writes
}

// ensure makes those that are missing, and has the spec of the others as shipped where
// it is not the administrator's.
func (k keeper[T]) ensure(ctx context.Context, shipped []T, mandatory bool) error {
	for _, want := range shipped {
		have, err := k.cache.Get(want.GetName())
		switch {
		case errors.IsNotFound(err):
			*k.wrote = true
			_, err = k.client.Create(ctx, k.copyOf(want), metav1.CreateOptions{FieldManager: fieldManager})
			if errors.IsAlreadyExists(err) { // another master was first, or the cache is late
				err = nil
			}
		case err == nil:
			err = k.revise(ctx, have, want, mandatory)
		}
		if err != nil {
			return fmt.Errorf("%T %s: %w", want, want.GetName(), err)
		}
	}
	return nil
}

func (k keeper[T]) revise(ctx context.Context, have, want T, mandatory bool) error {
	ours := mandatory || isOurs(have)
	annotated := have.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey] == strconv.FormatBool(ours)
	stale := ours && !k.same(have, want)
	if annotated && !stale {
		return nil
	}
	revised := k.copyOf(have)
	if stale {
		k.setSpec(revised, want)
	}
	if !annotated {
		annotations := revised.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[flowcontrolv1.AutoUpdateAnnotationKey] = strconv.FormatBool(ours)
		revised.SetAnnotations(annotations)
	}
	*k.wrote = true
	_, err := k.client.Update(ctx, revised, metav1.UpdateOptions{FieldManager: fieldManager})
	if errors.IsConflict(err) || errors.IsNotFound(err) { // the change comes through the cache, and it is looked at again
		return nil
	}
	return err
}

// isOurs reports whether a suggested object's spec is kept as shipped: the annotation
// says so, or nobody has changed it since it was made.
func isOurs(obj metav1.Object) bool {
	ours, err := strconv.ParseBool(obj.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey])
	if err != nil {
		return obj.GetGeneration() == 1
	}
	return ours
}

// prune removes what is ours by its annotation and is not shipped any more.
func (k keeper[T]) prune(ctx context.Context, shipped ...[]T) error {
	keep := map[string]bool{}
	for _, list := range shipped {
		for _, obj := range list {
			keep[obj.GetName()] = true
		}
	}
	all, err := k.cache.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, obj := range all {
		ours, err := strconv.ParseBool(obj.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey])
		if keep[obj.GetName()] || err != nil || !ours {
			continue
		}
		*k.wrote = true
		if err := k.client.Delete(ctx, obj.GetName(), metav1.DeleteOptions{}); err != nil && !errors.IsNotFound(err) {
			return fmt.Errorf("remove %T %s: %w", obj, obj.GetName(), err)
		}
	}
	return nil
}
