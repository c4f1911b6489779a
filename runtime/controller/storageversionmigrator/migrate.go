package storageversionmigrator

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"

	"github.com/gantry-run/gantry/runtime/controller/internal/served"
)

// pageSize is how many objects are listed at a time; only their metadata is.
const pageSize = 500

// migrator writes objects again.
type migrator struct {
	discovery discovery.DiscoveryInterface
	objects   metadata.Interface
}

// find is the version by which a resource is best read and written; empty where it is not
// served or cannot be.
func (m migrator) find(gr metav1.GroupResource) (schema.GroupVersionResource, error) {
	lists, err := discovery.ServerPreferredResources(m.discovery)
	return served.Find(lists, err, schema.GroupResource(gr), "list", "patch")
}

// version is the one of a list of now: what is written later needs no migration.
func (m migrator) version(ctx context.Context, gvr schema.GroupVersionResource) (string, error) {
	list, err := m.objects.Resource(gvr).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("list %s: %w", gvr, err)
	}
	return list.ResourceVersion, nil
}

// migrate writes every object as it is, and returns how many.
func (m migrator) migrate(ctx context.Context, gvr schema.GroupVersionResource) (int, error) {
	written := 0
	for o := (metav1.ListOptions{Limit: pageSize}); ; {
		list, err := m.objects.Resource(gvr).List(ctx, o)
		if err != nil {
			return written, fmt.Errorf("list %s: %w", gvr, err)
		}
		for i := range list.Items {
			if err := m.rewrite(ctx, gvr, &list.Items[i]); err != nil {
				return written, err
			}
			written++
		}
		if o.Continue = list.Continue; o.Continue == "" {
			return written, nil
		}
	}
}

// rewrite patches nothing but says which object it means: the API server stores it again where
// its form is not today's. One that changed, or was removed, in between needs no more.
func (m migrator) rewrite(ctx context.Context, gvr schema.GroupVersionResource, o *metav1.PartialObjectMetadata) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]string{"uid": string(o.UID), "resourceVersion": o.ResourceVersion}})
	if err != nil {
		return err
	}
	_, err = m.objects.Resource(gvr).Namespace(o.Namespace).Patch(ctx, o.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("write %s %s/%s again: %w", gvr.Resource, o.Namespace, o.Name, err)
}
