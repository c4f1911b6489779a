package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// kind is a namespaced resource and whether a collection of it can be deleted at once.
type kind struct {
	schema.GroupVersionResource
	collection bool
}

// remains is what is left of a namespace after an attempt to empty it.
type remains struct {
	objects    map[schema.GroupResource]int
	finalizers map[string]int
	discovery  error // kinds that may exist but could not be asked for
	deletion   error
	grace      time.Duration // the longest time that a remaining pod may still take
}

func (r remains) err() error { return errors.Join(r.discovery, r.deletion) }

// again is when to look again at what ends by itself: pods with their grace
// period, objects with finalizers of others.
func (r remains) again() time.Duration { return min(max(r.grace/4, time.Second), 15*time.Second) }

// empty deletes everything in the namespace that can be deleted. Pods go first,
// and the rest only when they are gone: while a pod runs, what protects it
// (network policies, quotas) and what it uses must stay.
func (r *Controller) empty(ctx context.Context, ns *corev1.Namespace) remains {
	left := remains{objects: map[schema.GroupResource]int{}, finalizers: map[string]int{}}
	kinds, err := r.kinds()
	left.discovery = err
	pods := schema.GroupResource{Resource: "pods"}
	for _, k := range kinds {
		if k.GroupResource() == pods {
			left.deletion = r.remove(ctx, ns, k, &left)
		}
	}
	if left.objects[pods] > 0 || left.deletion != nil {
		return left
	}
	var errs []error
	for _, k := range kinds {
		if k.GroupResource() != pods {
			errs = append(errs, r.remove(ctx, ns, k, &left))
		}
	}
	left.deletion = errors.Join(errs...)
	return left
}

// kinds discovers what can live in a namespace and be deleted. With an error,
// those of the groups that could be discovered.
func (r *Controller) kinds() ([]kind, error) {
	lists, err := discovery.ServerPreferredNamespacedResources(r.discovery)
	if err != nil {
		err = fmt.Errorf("%w: %w", errDiscovery, err)
	}
	var out []kind
	for _, list := range lists {
		gv, parseErr := schema.ParseGroupVersion(list.GroupVersion)
		if parseErr != nil {
			err = errors.Join(err, parseErr)
			continue
		}
		for _, res := range list.APIResources {
			if strings.Contains(res.Name, "/") || !slices.Contains(res.Verbs, "delete") || !slices.Contains(res.Verbs, "list") {
				continue
			}
			out = append(out, kind{gv.WithResource(res.Name), slices.Contains(res.Verbs, "deletecollection")})
		}
	}
	return out, err
}

// remove deletes all objects of a kind and notes what is left.
func (r *Controller) remove(ctx context.Context, ns *corev1.Namespace, k kind, left *remains) error {
	there := r.objects.Resource(k.GroupVersionResource).Namespace(ns.Name)
	list, err := there.List(ctx, metav1.ListOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) { // the kind was just deleted
			return nil
		}
		return fmt.Errorf("list %s: %w", k.GroupResource(), err)
	}
	if len(list.Items) == 0 {
		return nil
	}
	background := metav1.DeletePropagationBackground
	opts := metav1.DeleteOptions{PropagationPolicy: &background}
	if k.collection {
		if err := there.DeleteCollection(ctx, opts, metav1.ListOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete all %s: %w", k.GroupResource(), err)
		}
	} else {
		for i := range list.Items {
			if err := there.Delete(ctx, list.Items[i].Name, opts); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("delete %s %s: %w", k.GroupResource(), list.Items[i].Name, err)
			}
		}
	}
	if list, err = there.List(ctx, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("list %s again: %w", k.GroupResource(), err)
	}
	for i := range list.Items {
		item := &list.Items[i]
		left.objects[k.GroupResource()]++
		for _, f := range item.Finalizers {
			left.finalizers[f]++
		}
		if g := item.DeletionGracePeriodSeconds; g != nil {
			left.grace = max(left.grace, time.Duration(*g)*time.Second)
		}
	}
	return nil
}
