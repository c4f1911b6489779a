package podsource

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
)

// API are the pods that are bound to a node.
type API struct {
	factory  informers.SharedInformerFactory
	informer cache.SharedIndexInformer
}

// NewAPI returns the source of the node's pods.
func NewAPI(api kubernetes.Interface, nodeName string) *API {
	factory := client.Informers(api, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", nodeName).String()
	}))
	return &API{factory: factory, informer: factory.Core().V1().Pods().Informer()}
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
		out = append(out, o.(*corev1.Pod))
	}
	return out
}

// Pod implements Source.
func (a *API) Pod(namespace, name string) *corev1.Pod {
	o, ok, err := a.informer.GetStore().GetByKey(cache.NewObjectName(namespace, name).String())
	if err != nil || !ok {
		return nil
	}
	return o.(*corev1.Pod)
}

// Handle implements Source.
func (a *API) Handle(h Handler) error {
	_, err := a.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { h.UpdatePod(o.(*corev1.Pod)) },
		UpdateFunc: func(old, now any) { update(h, old.(*corev1.Pod), now.(*corev1.Pod)) },
		DeleteFunc: func(o any) {
			if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = d.Obj
			}
			if p, ok := o.(*corev1.Pod); ok {
				h.DeletePod(p)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch the pods: %w", err)
	}
	return nil
}

// update tells a pod that took the place of another one of its name from a changed one.
func update(h Handler, old, now *corev1.Pod) {
	if old.UID != now.UID {
		h.DeletePod(old)
	}
	h.UpdatePod(now)
}
