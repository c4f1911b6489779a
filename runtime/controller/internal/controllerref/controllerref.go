package controllerref

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// index holds objects by the UID of their controller, and orphans by namespace.
const index = "controller"

func orphansOf(namespace string) string { return "orphans/" + namespace }

// AddIndex indexes an informer for [Candidates]. It must be called before the
// informer starts; more than once does no harm.
func AddIndex(informer cache.SharedIndexInformer) error {
	return reconcile.Index(informer, index, func(o metav1.Object) []string {
		if ref := metav1.GetControllerOfNoCopy(o); ref != nil {
			return []string{string(ref.UID)}
		}
		return []string{orphansOf(o.GetNamespace())}
	})
}

// Candidates returns the objects that owner controls and the orphans in its namespace.
func Candidates[T metav1.Object](indexer cache.Indexer, owner metav1.Object) ([]T, error) {
	var out []T
	for _, key := range []string{string(owner.GetUID()), orphansOf(owner.GetNamespace())} {
		objs, err := indexer.ByIndex(index, key)
		if err != nil {
			return nil, fmt.Errorf("look up the objects of %s/%s: %w", owner.GetNamespace(), owner.GetName(), err)
		}
		for _, obj := range objs {
			if o, ok := obj.(T); ok {
				out = append(out, o)
			}
		}
	}
	return out, nil
}

// Controlled returns the objects in the index that owner controls.
func Controlled[T metav1.Object](indexer cache.Indexer, owner types.UID) ([]T, error) {
	objs, err := indexer.ByIndex(index, string(owner))
	if err != nil {
		return nil, fmt.Errorf("look up the objects of owner %s: %w", owner, err)
	}
	out := make([]T, 0, len(objs))
	for _, obj := range objs {
		if o, ok := obj.(T); ok {
			out = append(out, o)
		}
	}
	return out, nil
}

// Manager is one owner's claim to objects.
type Manager struct {
	Owner    metav1.Object
	Kind     schema.GroupVersionKind
	Selector labels.Selector
	// Live reads the owner from the API: a stale cache must not adopt for an owner
	// that is being deleted.
	Live func(ctx context.Context) (metav1.Object, error)
	// Patch applies a strategic merge patch to one object.
	Patch func(ctx context.Context, name string, patch []byte) error
}

// Ref is the controller reference to an owner.
func Ref(owner metav1.Object, kind schema.GroupVersionKind) metav1.OwnerReference {
	return *metav1.NewControllerRef(owner, kind)
}

// ClaimObjects sorts the candidates: what is returned belongs to the owner. Failures to
// adopt or release are joined; the rest is still claimed.
func ClaimObjects[T metav1.Object](ctx context.Context, c Manager, candidates []T) ([]T, error) {
	var (
		mine    []T
		errs    []error
		checked bool
		live    error
	)
	for _, o := range candidates {
		matches := c.Selector.Matches(labels.Set(o.GetLabels()))
		ref := metav1.GetControllerOfNoCopy(o)
		switch {
		case ref != nil && ref.UID != c.Owner.GetUID():
		case ref != nil && matches:
			mine = append(mine, o)
		case ref != nil: // mine, but no longer meant
			if c.Owner.GetDeletionTimestamp() == nil {
				errs = append(errs, c.release(ctx, o))
			}
		case !matches || c.Owner.GetDeletionTimestamp() != nil || o.GetDeletionTimestamp() != nil:
		default:
			if !checked {
				checked, live = true, c.mayAdopt(ctx)
			}
			if live != nil {
				errs = append(errs, live)
				continue
			}
			adopted, err := c.adopt(ctx, o)
			if adopted {
				mine = append(mine, o)
			}
			errs = append(errs, err)
		}
	}
	return mine, errors.Join(errs...)
}

func (c Manager) mayAdopt(ctx context.Context) error {
	live, err := c.Live(ctx)
	if err != nil {
		return fmt.Errorf("read %s %s/%s before adopting: %w", c.Kind.Kind, c.Owner.GetNamespace(), c.Owner.GetName(), err)
	}
	if live.GetUID() != c.Owner.GetUID() || live.GetDeletionTimestamp() != nil {
		return fmt.Errorf("%s %s/%s was deleted meanwhile: it adopts nothing", c.Kind.Kind, c.Owner.GetNamespace(), c.Owner.GetName())
	}
	return nil
}

func (c Manager) adopt(ctx context.Context, o metav1.Object) (bool, error) {
	err := c.patch(ctx, o, Ref(c.Owner, c.Kind))
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("adopt %s/%s: %w", o.GetNamespace(), o.GetName(), err)
	}
	return true, nil
}

func (c Manager) release(ctx context.Context, o metav1.Object) error {
	err := c.patch(ctx, o, map[string]any{"$patch": "delete", "uid": c.Owner.GetUID()})
	// Gone, or another object of that name: nothing to release.
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
		return nil
	}
	return fmt.Errorf("release %s/%s: %w", o.GetNamespace(), o.GetName(), err)
}

// patch merges one entry into the owner references. The UID guards against
// another object of the same name.
func (c Manager) patch(ctx context.Context, o metav1.Object, ref any) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": o.GetUID(), "ownerReferences": []any{ref}}})
	if err != nil {
		return err
	}
	return c.Patch(ctx, o.GetName(), body)
}
