package served

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// Find looks a resource up among lists, which a question of discovery gave together with err:
// it returns the version by which it is served and has all of verbs, or an empty one where it
// is not. Parts of the API that do not answer are no error, unless the resource may be one of
// theirs.
func Find(lists []*metav1.APIResourceList, err error, gr schema.GroupResource, verbs ...string) (schema.GroupVersionResource, error) {
	for _, list := range lists {
		gv, bad := schema.ParseGroupVersion(list.GroupVersion)
		if bad != nil || gv.Group != gr.Group {
			continue
		}
		for _, r := range list.APIResources {
			if r.Name == gr.Resource && !slices.ContainsFunc(verbs, func(v string) bool { return !slices.Contains(r.Verbs, v) }) {
				return gv.WithResource(r.Name), nil
			}
		}
	}
	if failed, ok := discovery.GroupDiscoveryFailedErrorGroups(err); ok {
		err = nil
		for gv, why := range failed {
			if gv.Group == gr.Group {
				err = why
			}
		}
	}
	if err != nil {
		return schema.GroupVersionResource{}, fmt.Errorf("discover %s: %w", gr, err)
	}
	return schema.GroupVersionResource{}, nil
}
