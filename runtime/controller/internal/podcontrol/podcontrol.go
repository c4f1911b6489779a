package podcontrol

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllerref"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Parent is an object that owns pods.
type Parent interface {
	metav1.Object
	runtime.Object
}

// Pods are the pods of all owners of one kind.
type Pods struct {
	kind     schema.GroupVersionKind
	client   kubernetes.Interface
	informer cache.SharedIndexInformer
	expected *expectations.Expectations
	events   record.EventRecorder
}

// New returns the pods of a kind of owner. It indexes the informer, so it must be
// called before that starts.
func New(kind schema.GroupVersionKind, d reconcile.Deps, expected *expectations.Expectations) (*Pods, error) {
	informer := d.Informers.Core().V1().Pods().Informer()
	if err := controllerref.AddIndex(informer); err != nil {
		return nil, err
	}
	return &Pods{kind: kind, client: d.Client, informer: informer, expected: expected, events: d.Events}, nil
}

// Watch queues the owner of each pod that changes, by key, and calls orphan with
// each pod that has no owner. It returns whether the initial list was seen.
func (c *Pods) Watch(enqueue func(types.NamespacedName), orphan func(*corev1.Pod)) cache.InformerSynced {
	w := watcher{c, enqueue, orphan}
	return client.Watch(c.informer, w.added, w.updated, w.deleted)
}

type watcher struct {
	*Pods
	enqueue func(types.NamespacedName)
	orphan  func(*corev1.Pod)
}

// ref is the pod's controller if it is of our kind.
func (w watcher) ref(p *corev1.Pod) *metav1.OwnerReference {
	if ref := metav1.GetControllerOfNoCopy(p); ref != nil && ref.Kind == w.kind.Kind && ref.APIVersion == w.kind.GroupVersion().String() {
		return ref
	}
	return nil
}

func (w watcher) added(p *corev1.Pod) {
	if p.DeletionTimestamp != nil { // after a restart: a deletion still under way
		w.deleted(p)
		return
	}
	if ref := w.ref(p); ref != nil {
		w.expected.Created(ref.UID, 1)
		w.enqueue(types.NamespacedName{Namespace: p.Namespace, Name: ref.Name})
	} else if metav1.GetControllerOfNoCopy(p) == nil {
		w.orphan(p)
	}
}

func (w watcher) updated(old, p *corev1.Pod) {
	if old.ResourceVersion == p.ResourceVersion {
		return
	}
	if p.DeletionTimestamp != nil {
		// The replacement need not wait for the end of the grace period.
		w.deleted(p)
		return
	}
	was, is := w.ref(old), w.ref(p)
	if was != nil && (is == nil || is.UID != was.UID) {
		w.enqueue(types.NamespacedName{Namespace: p.Namespace, Name: was.Name})
	}
	switch {
	case is != nil:
		w.enqueue(types.NamespacedName{Namespace: p.Namespace, Name: is.Name})
	case metav1.GetControllerOfNoCopy(p) == nil:
		w.orphan(p)
	}
}

func (w watcher) deleted(p *corev1.Pod) {
	if ref := w.ref(p); ref != nil {
		w.expected.Deleted(ref.UID, p.UID)
		w.enqueue(types.NamespacedName{Namespace: p.Namespace, Name: ref.Name})
	}
}

// Claim returns the pods of the owner for which keep is true, after adopting and
// releasing. live reads the owner from the API.
func (c *Pods) Claim(ctx context.Context, parent Parent, selector *metav1.LabelSelector, live func(context.Context) (metav1.Object, error), keep func(*corev1.Pod) bool) ([]*corev1.Pod, error) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: selector: %w", c.kind.Kind, parent.GetNamespace(), parent.GetName(), err)
	}
	all, err := controllerref.Candidates[*corev1.Pod](c.informer.GetIndexer(), parent)
	if err != nil {
		return nil, err
	}
	candidates := all[:0:0]
	for _, p := range all {
		if keep(p) {
			candidates = append(candidates, p)
		}
	}
	return controllerref.ClaimObjects(ctx, controllerref.Manager{
		Owner: parent, Kind: c.kind, Selector: s, Live: live,
		Patch: func(ctx context.Context, name string, patch []byte) error {
			_, err := c.client.CoreV1().Pods(parent.GetNamespace()).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			return err
		},
	}, candidates)
}

// Of returns the pods in the cache that the owner controls.
func (c *Pods) Of(parent types.UID) ([]*corev1.Pod, error) {
	return controllerref.Controlled[*corev1.Pod](c.informer.GetIndexer(), parent)
}

// Ref is the controller reference of the owner's pods.
func (c *Pods) Ref(parent metav1.Object) metav1.OwnerReference {
	return controllerref.Ref(parent, c.kind)
}
