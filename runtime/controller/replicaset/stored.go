package replicaset

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllerref"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Stored is how the sets of one kind are read and written: ReplicaSets are stored as they
// are, ReplicationControllers mean the same and look different. P is the type in the
// informer.
type Stored[P metav1.Object] struct {
	Kind     schema.GroupVersionKind
	Informer cache.SharedIndexInformer
	// Set is a copy of a stored object as a ReplicaSet, with the type of what it is.
	Set func(P) *appsv1.ReplicaSet
	// Selector is that of a stored object.
	Selector func(P) *metav1.LabelSelector
	// Live reads an object from the API.
	Live func(ctx context.Context, namespace, name string) (metav1.Object, error)
	// WriteStatus writes the status of a set if it is not the one before.
	WriteStatus func(ctx context.Context, rs *appsv1.ReplicaSet, before *appsv1.ReplicaSetStatus) error
	// CountsTerminating says that the kind's status tells how many pods are ending.
	CountsTerminating bool
}

// get returns a set from the cache, nil when there is none.
func (s Stored[P]) get(key types.NamespacedName) (*appsv1.ReplicaSet, error) {
	obj, _, err := s.Informer.GetIndexer().GetByKey(cache.ObjectName(key).String())
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", s.Kind.Kind, key, err)
	}
	o, ok := obj.(P)
	if !ok { // there is none
		return nil, nil
	}
	return s.Set(o), nil
}

// matching are the keys of the sets that could adopt a pod.
func (s Stored[P]) matching(p *corev1.Pod) []types.NamespacedName {
	objs, err := s.Informer.GetIndexer().ByIndex(cache.NamespaceIndex, p.Namespace)
	if err != nil || len(p.Labels) == 0 {
		return nil
	}
	var out []types.NamespacedName
	for _, obj := range objs {
		o := obj.(P) // the informer has no others
		// An empty selector means no pods, in what an earlier release stored.
		selector, err := metav1.LabelSelectorAsSelector(s.Selector(o))
		if err == nil && !selector.Empty() && selector.Matches(labels.Set(p.Labels)) {
			out = append(out, reconcile.Key(o))
		}
	}
	return out
}

// siblings are the sets of an owner.
func (s Stored[P]) siblings(owner types.UID) ([]P, error) {
	return controllerref.Controlled[P](s.Informer.GetIndexer(), owner)
}
