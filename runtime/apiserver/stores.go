package apiserver

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
)

// stores holds the storage of every kind of the table.
type stores map[schema.GroupResource]*registry.Store

func openStores(scheme *runtime.Scheme, table []kinds.Kind, opts generic.RESTOptionsGetter) (stores, error) {
	st := stores{}
	for _, k := range table {
		store, err := registry.NewStore(scheme, k, opts)
		if err != nil {
			return nil, err
		}
		st[schema.GroupResource{Group: k.GVK.Group, Resource: k.Resource}] = store
	}
	return st, nil
}

// get returns a store that the server itself needs; [requiredKinds] has been
// checked, so it is there.
func (st stores) get(group, resource string) *registry.Store {
	return st[schema.GroupResource{Group: group, Resource: resource}]
}

// nodeObjects is the cluster as the node authorizer sees it.
type nodeObjects struct{ stores stores }

func freshness(fresh bool) string {
	if fresh {
		return registry.Fresh
	}
	return registry.Cached
}

func (n nodeObjects) Pods(ctx context.Context, node string, fresh bool) ([]corev1.Pod, error) {
	list, err := registry.ListWhere[*corev1.PodList](ctx, n.stores.get("", "pods"), "", fields.Set{"spec.nodeName": node}, freshness(fresh))
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func (n nodeObjects) Pod(ctx context.Context, namespace, name string, fresh bool) (*corev1.Pod, error) {
	return registry.Read[*corev1.Pod](ctx, n.stores.get("", "pods"), namespace, name, freshness(fresh))
}

func (n nodeObjects) Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	return registry.Read[*corev1.PersistentVolumeClaim](ctx, n.stores.get("", "persistentvolumeclaims"), namespace, name, registry.Cached)
}
