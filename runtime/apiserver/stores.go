package apiserver

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
)

// stores holds the storage of every kind of the table.
type stores map[schema.GroupResource]*registry.Store

func openStores(scheme *runtime.Scheme, table []kind.Kind, opts generic.RESTOptionsGetter) (stores, error) {
	st := stores{}
	for _, k := range table {
		gr := schema.GroupResource{Group: k.GVK.Group, Resource: k.Resource}
		if _, shared := registry.SharesStorage(gr); shared {
			continue
		}
		store, err := registry.NewStore(scheme, k, opts)
		if err != nil {
			return nil, err
		}
		st[gr] = store
	}
	for _, k := range table {
		gr := schema.GroupResource{Group: k.GVK.Group, Resource: k.Resource}
		if owner, shared := registry.SharesStorage(gr); shared {
			st[gr] = st[owner]
		}
	}
	var missing []string
	for _, gr := range needed() {
		if st[gr] == nil {
			missing = append(missing, gr.String())
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the kinds table lacks %s, without which the server cannot work", strings.Join(missing, ", "))
	}
	return st, nil
}

// needed are the resources that the server itself reads or extends.
func needed() []schema.GroupResource {
	var out []schema.GroupResource
	for _, s := range []string{
		"pods", "nodes", "services", "namespaces", "serviceaccounts", "secrets", "configmaps", "events", "persistentvolumeclaims",
		"poddisruptionbudgets.policy", "priorityclasses.scheduling.k8s.io", "certificatesigningrequests.certificates.k8s.io",
		"roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
		"clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
	} {
		out = append(out, schema.ParseGroupResource(s))
	}
	return out
}

// get returns the store of a resource of the table; those of [needed] are there.
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
