package podsource

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/pod"
)

// API are the pods that are bound to a node, but for mirror pods, which show what is run
// from elsewhere.
type API struct {
	factory  informers.SharedInformerFactory
	informer cache.SharedIndexInformer
}

// NewAPI returns the source of the node's pods.
func NewAPI(api kubernetes.Interface, nodeName string) *API {
	factory := client.Informers(api, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", nodeName).String()
	}))
	informer := factory.Core().V1().Pods().Informer()
	// It fails for an informer that runs.
	utilruntime.Must(informer.SetTransform(notStatic))
	return &API{factory: factory, informer: informer}
}

// notStatic takes from a pod of the API what it must not say of itself: that it is a static
// one.
func notStatic(o any) (any, error) {
	if p, ok := o.(*corev1.Pod); ok && pod.IsStatic(p) {
		p = p.DeepCopy()
		delete(p.Annotations, pod.ConfigSourceAnnotation)
		return p, nil
	}
	return o, nil
}

// Start implements Source.
func (a *API) Start(ctx context.Context) { a.factory.Start(ctx.Done()) }

// Synced implements Source.
func (a *API) Synced() bool { return a.informer.HasSynced() }

// Pods implements Source.
func (a *API) Pods() []*corev1.Pod {
	all := a.informer.GetStore().List()
	out := make([]*corev1.Pod, 0, len(all))
	for _, o := range all {
		if p := o.(*corev1.Pod); !pod.IsMirror(p) {
			out = append(out, p)
		}
	}
	return out
}

// Pod implements Source.
func (a *API) Pod(namespace, name string) *corev1.Pod {
	if p := a.find(namespace, name); p != nil && !pod.IsMirror(p) {
		return p
	}
	return nil
}

// Mirror is the mirror pod of that name; nil when none is known.
func (a *API) Mirror(namespace, name string) *corev1.Pod {
	if p := a.find(namespace, name); p != nil && pod.IsMirror(p) {
		return p
	}
	return nil
}

func (a *API) find(namespace, name string) *corev1.Pod {
	o, ok, err := a.informer.GetStore().GetByKey(cache.NewObjectName(namespace, name).String())
	if err != nil || !ok {
		return nil
	}
	return o.(*corev1.Pod)
}

// Handle implements Source.
func (a *API) Handle(h Handler) error {
	return a.watch(func(p *corev1.Pod) bool { return !pod.IsMirror(p) }, cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { h.UpdatePod(o.(*corev1.Pod)) },
		UpdateFunc: func(old, now any) { update(h, old.(*corev1.Pod), now.(*corev1.Pod)) },
		DeleteFunc: func(o any) { h.DeletePod(last(o)) },
	})
}

// handleMirrors tells of each mirror pod, and of each change of one.
func (a *API) handleMirrors(changed func(p *corev1.Pod, gone bool)) error {
	return a.watch(pod.IsMirror, cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { changed(o.(*corev1.Pod), false) },
		UpdateFunc: func(old, now any) {
			if old := old.(*corev1.Pod); old.UID != now.(*corev1.Pod).UID {
				changed(old, true)
			}
			changed(now.(*corev1.Pod), false)
		},
		DeleteFunc: func(o any) { changed(last(o), true) },
	})
}

func (a *API) watch(which func(*corev1.Pod) bool, handler cache.ResourceEventHandler) error {
	_, err := a.informer.AddEventHandler(cache.FilteringResourceEventHandler{
		FilterFunc: func(o any) bool { p := last(o); return p != nil && which(p) }, Handler: handler,
	})
	if err != nil {
		return fmt.Errorf("watch the pods: %w", err)
	}
	return nil
}

// last is the pod of an event, as it was known last; nil if it was not.
func last(o any) *corev1.Pod {
	if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = d.Obj
	}
	p, _ := o.(*corev1.Pod)
	return p
}

// update tells a pod that took the place of another one of its name from a changed one.
func update(h Handler, old, now *corev1.Pod) {
	if old.UID != now.UID {
		h.DeletePod(old)
	}
	h.UpdatePod(now)
}
