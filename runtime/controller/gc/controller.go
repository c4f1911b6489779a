package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/lru"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Resource is how an object is addressed.
type Resource struct {
	schema.GroupVersionResource
	Namespaced bool
}

// Controller collects garbage, object by object.
type Controller struct {
	objects   metadata.Interface
	discovery discovery.DiscoveryInterface
	log       *slog.Logger
	graph     *Graph
	loop      *reconcile.Loop[types.UID]
	monitors  *monitors
	absent    *lru.Cache // UIDs of owners that are gone: no UID ever comes back

	mu     sync.Mutex
	kinds  map[schema.GroupVersionKind]Resource
	groups map[schema.GroupKind]Resource
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	r := &Controller{objects: d.Metadata, discovery: d.Client.Discovery(), log: d.Log.With("controller", "gc"), graph: NewGraph(), absent: lru.New(1024)}
	r.monitors = newMonitors(r, d.Presence)
	r.loop = reconcile.New("gc", d.Log, r.reconcile, r.monitors.synced)
	return r, nil
}

// Run collects until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { r.monitors.run(ctx) })
	return r.loop.Run(ctx, workers)
}

func (r *Controller) queue(uids []types.UID) {
	for _, uid := range uids {
		r.loop.Add(uid)
	}
}

func (r *Controller) reconcile(ctx context.Context, uid types.UID) (time.Duration, error) {
	v, ok := r.graph.View(uid)
	switch {
	case !ok:
		return 0, nil
	case v.Virtual:
		// Its dependents are what is judged, and each verifies its owners.
		for _, d := range v.Dependents {
			r.loop.Add(d.UID)
		}
		return 0, nil
	case v.Orphans:
		return 0, r.orphan(ctx, v)
	case v.Deleting && v.WaitsForDeps:
		return 0, r.foreground(ctx, v)
	case v.Deleting:
		return 0, nil
	}
	return 0, r.judge(ctx, v)
}

// judge deletes an object that no owner holds, and drops references to absent
// owners from one that another holds.
func (r *Controller) judge(ctx context.Context, v View) error {
	live, err := r.get(ctx, v.Resource, v.Identity)
	if err != nil {
		return err
	}
	if live == nil { // the informer will tell
		return nil
	}
	owners := map[types.UID]ownerState{}
	for _, ref := range live.OwnerReferences {
		s, err := r.ownerOf(ctx, v, ref)
		if err != nil {
			return err
		}
		owners[ref.UID] = s
	}
	a := decide(owners, live.Finalizers, len(v.Dependents) > 0)
	switch {
	case a.delete:
		if a.policy == metav1.DeletePropagationForeground && inCircle(v) {
			if live, err = r.patch(ctx, v.Object, live, "ownerReferences", unblocked(live.OwnerReferences)); err != nil || live == nil {
				return err
			}
		}
		return r.delete(ctx, v, live, a.policy)
	case len(a.drop) > 0:
		return r.dropOwners(ctx, v.Object, live, a.drop)
	}
	return nil
}

// ownerOf tells the state of an owner, from the graph or, when that does not know
// it, live.
func (r *Controller) ownerOf(ctx context.Context, v View, ref metav1.OwnerReference) (ownerState, error) {
	if o, known := v.KnownOwners[ref.UID]; known {
		// A reference from another namespace is to nobody.
		if o.Namespace != "" && o.Namespace != v.Namespace {
			return ownerAbsent, nil
		}
		if o.Deleting && o.WaitsForDeps {
			return ownerWaiting, nil
		}
		return ownerLives, nil
	}
	if _, gone := r.absent.Get(ref.UID); gone {
		return ownerAbsent, nil
	}
	res, ok := r.resource(ref.APIVersion, ref.Kind)
	if !ok {
		// A kind that is not served: it may be only for now (a custom resource, an
		// aggregated API that is down), so nothing may be deleted for it.
		return ownerLives, nil
	}
	id := Identity{APIVersion: ref.APIVersion, Kind: ref.Kind, Name: ref.Name, UID: ref.UID}
	if res.Namespaced {
		if v.Namespace == "" { // a cluster's object cannot have an owner in a namespace
			return ownerLives, nil
		}
		id.Namespace = v.Namespace
	}
	live, err := r.get(ctx, res, id)
	switch {
	case err != nil:
		return ownerLives, err
	case live == nil:
		r.absent.Add(ref.UID, true)
		return ownerAbsent, nil
	case live.DeletionTimestamp != nil && slices.Contains(live.Finalizers, metav1.FinalizerDeleteDependents):
		return ownerWaiting, nil
	}
	return ownerLives, nil
}

// foreground goes on with a deletion that waits for its dependents.
func (r *Controller) foreground(ctx context.Context, v View) error {
	blocked := false
	for _, b := range v.Blockers {
		blocked = true
		if !b.Deleting {
			r.loop.Add(b.UID)
		}
	}
	if blocked {
		return nil // the end of each of them brings us back
	}
	return r.dropFinalizer(ctx, v, metav1.FinalizerDeleteDependents)
}

// orphan takes the owner out of its dependents before it goes.
func (r *Controller) orphan(ctx context.Context, v View) error {
	for _, d := range v.Dependents {
		live, err := r.get(ctx, d.Resource, d.Identity)
		if err != nil {
			return err
		}
		if live == nil {
			continue
		}
		if err := r.dropOwners(ctx, d, live, []types.UID{v.UID}); err != nil {
			return err
		}
	}
	return r.dropFinalizer(ctx, v, metav1.FinalizerOrphanDependents)
}

func (r *Controller) resource(apiVersion, kind string) (Resource, bool) {
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	r.mu.Lock()
	defer r.mu.Unlock()
	if res, ok := r.kinds[gvk]; ok {
		return res, true
	}
	res, ok := r.groups[gvk.GroupKind()] // a version that is served no longer
	return res, ok
}

func (r *Controller) at(res Resource, namespace string) metadata.ResourceInterface {
	if res.Namespaced {
		return r.objects.Resource(res.GroupVersionResource).Namespace(namespace)
	}
	return r.objects.Resource(res.GroupVersionResource)
}

// get reads an object live; nil when it does not exist or another has its name.
func (r *Controller) get(ctx context.Context, res Resource, id Identity) (*metav1.PartialObjectMetadata, error) {
	live, err := r.at(res, id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", res.GroupResource(), id.Namespace, id.Name, err)
	}
	if live.UID != id.UID {
		return nil, nil
	}
	return live, nil
}

func (r *Controller) delete(ctx context.Context, v View, live *metav1.PartialObjectMetadata, policy metav1.DeletionPropagation) error {
	// The version too: an owner added meanwhile saves the object.
	pre := &metav1.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion}
	err := r.at(v.Resource, v.Namespace).Delete(ctx, v.Name, metav1.DeleteOptions{Preconditions: pre, PropagationPolicy: &policy})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s %s/%s: %w", v.Resource.GroupResource(), v.Namespace, v.Name, err)
	}
	r.log.Info("deleted: its owners are gone", "resource", v.Resource.GroupResource().String(), "object", v.Namespace+"/"+v.Name)
	return nil
}

// dropOwners writes the references without some. A merge patch with the version
// works for every kind, custom ones too.
func (r *Controller) dropOwners(ctx context.Context, o Object, live *metav1.PartialObjectMetadata, drop []types.UID) error {
	kept := slices.DeleteFunc(slices.Clone(live.OwnerReferences), func(ref metav1.OwnerReference) bool { return slices.Contains(drop, ref.UID) })
	if len(kept) == len(live.OwnerReferences) {
		return nil
	}
	_, err := r.patch(ctx, o, live, "ownerReferences", append([]metav1.OwnerReference{}, kept...))
	return err
}

func (r *Controller) dropFinalizer(ctx context.Context, v View, finalizer string) error {
	live, err := r.get(ctx, v.Resource, v.Identity)
	if err != nil || live == nil || !slices.Contains(live.Finalizers, finalizer) {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(live.Finalizers), func(f string) bool { return f == finalizer })
	_, err = r.patch(ctx, v.Object, live, "finalizers", append([]string{}, kept...))
	return err
}

// patch returns the object as it is then, nil if it is gone.
func (r *Controller) patch(ctx context.Context, o Object, live *metav1.PartialObjectMetadata, field string, value any) (*metav1.PartialObjectMetadata, error) {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": live.UID, "resourceVersion": live.ResourceVersion, field: value,
	}})
	if err != nil {
		return nil, err
	}
	now, err := r.at(o.Resource, o.Namespace).Patch(ctx, o.Name, types.MergePatchType, body, metav1.PatchOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("write the %s of %s %s/%s: %w", field, o.Resource.GroupResource(), o.Namespace, o.Name, err)
	}
	return now, nil
}

// discover learns what is served. With an error, what could be learnt.
func (r *Controller) discover() (map[schema.GroupVersionResource]Resource, map[schema.GroupVersionResource]string, error) {
	_, lists, err := r.discovery.ServerGroupsAndResources()
	preferred, preferredErr := discovery.ServerPreferredResources(r.discovery)
	err = errors.Join(err, preferredErr)
	r.learn(lists)
	watch, kinds := map[schema.GroupVersionResource]Resource{}, map[schema.GroupVersionResource]string{}
	for _, list := range preferred {
		gv, parseErr := schema.ParseGroupVersion(list.GroupVersion)
		if parseErr != nil {
			err = errors.Join(err, parseErr)
			continue
		}
		for _, res := range list.APIResources {
			if !collectable(res) {
				continue
			}
			gvr := gv.WithResource(res.Name)
			watch[gvr], kinds[gvr] = Resource{gvr, res.Namespaced}, res.Kind
		}
	}
	return watch, kinds, err
}

func (r *Controller) learn(lists []*metav1.APIResourceList) {
	kinds, groups := map[schema.GroupVersionKind]Resource{}, map[schema.GroupKind]Resource{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, res := range list.APIResources {
			if strings.Contains(res.Name, "/") || !slices.Contains(res.Verbs, "get") {
				continue
			}
			of := Resource{gv.WithResource(res.Name), res.Namespaced}
			kinds[gv.WithKind(res.Kind)] = of
			if _, ok := groups[gv.WithKind(res.Kind).GroupKind()]; !ok {
				groups[gv.WithKind(res.Kind).GroupKind()] = of
			}
		}
	}
	if len(kinds) == 0 {
		return
	}
	r.mu.Lock()
	r.kinds, r.groups = kinds, groups
	r.mu.Unlock()
}

// collectable says whether objects of a kind are watched. Events are many, live
// for an hour, and own nothing.
func collectable(res metav1.APIResource) bool {
	if strings.Contains(res.Name, "/") || res.Kind == "Event" {
		return false
	}
	for _, verb := range []string{"get", "list", "watch", "delete"} {
		if !slices.Contains(res.Verbs, verb) {
			return false
		}
	}
	return true
}

func objectOf(o metav1.Object, res Resource, kind string) Object {
	deleting := o.GetDeletionTimestamp() != nil
	return Object{
		Identity: Identity{
			APIVersion: res.GroupVersion().String(), Kind: kind,
			Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(),
		},
		Resource: res, Owners: o.GetOwnerReferences(), Deleting: deleting,
		WaitsForDeps: deleting && slices.Contains(o.GetFinalizers(), metav1.FinalizerDeleteDependents),
		Orphans:      deleting && slices.Contains(o.GetFinalizers(), metav1.FinalizerOrphanDependents),
	}
}

// slim keeps of an object only what the graph needs: the collector sees every
// object of the cluster.
func slim(obj any) (any, error) {
	if m, err := meta.Accessor(obj); err == nil { // a tombstone is no object
		m.SetManagedFields(nil)
		m.SetLabels(nil)
		m.SetAnnotations(nil)
	}
	return obj, nil
}
