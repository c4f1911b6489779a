package reconcile

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A reconciliation of an API object goes: Get, decide on the copy, write what the
// decision asks for, WriteStatus.

// Object is a pointer to an API type.
type Object[T any] interface {
	*T
	metav1.Object
	DeepCopy() *T
}

// Getter is a lister of the objects of one namespace, or of those that have none.
type Getter[P any] interface {
	Get(name string) (P, error)
}

// Get returns a copy of an object in the cache that is the caller's to change, nil
// when there is none. what names it in errors.
func Get[P Object[T], T any](from Getter[P], what, name string) (P, error) {
	cached, err := from.Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return cached.DeepCopy(), nil
}

// StatusWriter is a client of one kind.
type StatusWriter[P any] interface {
	UpdateStatus(ctx context.Context, obj P, opts metav1.UpdateOptions) (P, error)
}

// WriteStatus writes the status of an object when it differs from what it was, and
// returns the object as the server has it then; obj itself when nothing was written. One
// that is gone has no status to write.
func WriteStatus[P Object[T], T, S any](ctx context.Context, to StatusWriter[P], kind string, obj P, before, now *S) (P, error) {
	if equality.Semantic.DeepEqual(before, now) {
		return obj, nil
	}
	made, err := to.UpdateStatus(ctx, obj, metav1.UpdateOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return obj, nil
	case err != nil:
		return nil, fmt.Errorf("write the status of %s %s: %w", kind, Key(obj), err)
	}
	return made, nil
}
