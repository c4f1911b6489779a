package history

import (
	"bytes"
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllerref"
)

// Keeper keeps the history of all owners of one kind.
type Keeper struct {
	kind      schema.GroupVersionKind
	hashLabel string
	client    kubernetes.Interface
	index     cache.Indexer
}

// New returns the keeper. hashLabel is the label that revisions have their hash
// in. It indexes the informer, so it must be called before that starts.
func New(kind schema.GroupVersionKind, hashLabel string, c kubernetes.Interface, informer cache.SharedIndexInformer) (*Keeper, error) {
	if err := controllerref.AddIndex(informer); err != nil {
		return nil, err
	}
	return &Keeper{kind: kind, hashLabel: hashLabel, client: c, index: informer.GetIndexer()}, nil
}

// Owner is whose history it is.
type Owner struct {
	Object   metav1.Object
	Selector *metav1.LabelSelector
	Template *corev1.PodTemplateSpec
	// Collisions counts how often a revision's name was taken by another template.
	// It is raised here and kept in the owner's status.
	Collisions **int32
	// Live reads the owner from the API.
	Live func(ctx context.Context) (metav1.Object, error)
}

// Hash is the hash that the revision's name ends in.
func (k *Keeper) Hash(r *appsv1.ControllerRevision) string { return r.Labels[k.hashLabel] }

// Sync returns the owner's history, after making the revision of its present
// template or giving it the highest number.
func (k *Keeper) Sync(ctx context.Context, o Owner) (History, error) {
	all, err := k.claim(ctx, o)
	if err != nil {
		return History{}, err
	}
	h, err := arrange(all, o.Template)
	if err != nil {
		return History{}, err
	}
	switch {
	case h.Current == nil:
		h.Current, err = k.create(ctx, o, h.next())
	case h.Current.Revision < h.next(): // rolled back to
		updated := h.Current.DeepCopy()
		updated.Revision = h.next()
		h.Current, err = k.client.AppsV1().ControllerRevisions(updated.Namespace).Update(ctx, updated, metav1.UpdateOptions{})
		if err != nil {
			err = fmt.Errorf("number ControllerRevision %s/%s: %w", updated.Namespace, updated.Name, err)
		}
	}
	return h, err
}

func (k *Keeper) claim(ctx context.Context, o Owner) ([]*appsv1.ControllerRevision, error) {
	selector, err := metav1.LabelSelectorAsSelector(o.Selector)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: selector: %w", k.kind.Kind, o.Object.GetNamespace(), o.Object.GetName(), err)
	}
	candidates, err := controllerref.Candidates[*appsv1.ControllerRevision](k.index, o.Object)
	if err != nil {
		return nil, err
	}
	return controllerref.ClaimObjects(ctx, controllerref.Manager{
		Owner: o.Object, Kind: k.kind, Selector: selector, Live: o.Live,
		Patch: func(ctx context.Context, name string, patch []byte) error {
			_, err := k.client.AppsV1().ControllerRevisions(o.Object.GetNamespace()).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			return err
		},
	}, candidates)
}

// tries bounds the names that are tried for one revision.
const tries = 5

func (k *Keeper) create(ctx context.Context, o Owner, number int64) (*appsv1.ControllerRevision, error) {
	data, err := patch(o.Template)
	if err != nil {
		return nil, err
	}
	for range tries {
		r := newRevision(o.Object, controllerref.Ref(o.Object, k.kind), k.hashLabel, data, o.Template, *o.Collisions, number)
		made, err := k.client.AppsV1().ControllerRevisions(r.Namespace).Create(ctx, r, metav1.CreateOptions{})
		if err == nil {
			return made, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("create ControllerRevision %s/%s: %w", r.Namespace, r.Name, err)
		}
		there, err := k.client.AppsV1().ControllerRevisions(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read ControllerRevision %s/%s, which has the name of a new one: %w", r.Namespace, r.Name, err)
		}
		if metav1.IsControlledBy(there, o.Object) && bytes.Equal(there.Data.Raw, data) {
			return there, nil // ours, and not in the cache yet
		}
		n := int32(1)
		if *o.Collisions != nil {
			n += **o.Collisions
		}
		*o.Collisions = &n
	}
	return nil, fmt.Errorf("%s %s/%s: the names of %d revisions are taken by others", k.kind.Kind, o.Object.GetNamespace(), o.Object.GetName(), tries)
}

// Trim deletes old revisions that are not in use, beyond the limit.
func (k *Keeper) Trim(ctx context.Context, h History, limit *int32, inUse func(*appsv1.ControllerRevision) bool) error {
	if limit == nil {
		return nil
	}
	for _, r := range expired(h.Old, inUse, int(*limit)) {
		err := k.client.AppsV1().ControllerRevisions(r.Namespace).Delete(ctx, r.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(r.UID))})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete old ControllerRevision %s/%s: %w", r.Namespace, r.Name, err)
		}
	}
	return nil
}
