package netpol

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
)

// world is what policies are about. It is followed while there is a policy.
type world struct {
	pods, namespaces cache.SharedIndexInformer
	stop             func() // after its context has ended
}

// watchWorld follows pods and namespaces, and returns when all that exist are known and
// marked. It fails when ctx ends before.
func (e *Enforcer) watchWorld(ctx context.Context) (*world, error) {
	factory := client.Informers(e.api, informers.WithTransform(trim))
	w := &world{
		pods: factory.Core().V1().Pods().Informer(), namespaces: factory.Core().V1().Namespaces().Informer(),
		stop: factory.Shutdown,
	}
	handlers := []cache.InformerSynced{
		client.WatchAll(w.pods, func(p *corev1.Pod) {
			e.mark(func(d dirty) { d.pods[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}] = struct{}{} })
		}),
		client.WatchAll(w.namespaces, func(ns *corev1.Namespace) {
			e.mark(func(d dirty) { d.namespaces[ns.Name] = struct{}{} })
		}),
	}
	factory.Start(ctx.Done())
	return w, client.WaitForSync(ctx, handlers...)
}

// get returns an object of an informer's cache; nil when it is not there.
func get[T comparable](informer cache.SharedIndexInformer, key string) (none T) {
	obj, ok, err := informer.GetIndexer().GetByKey(key)
	if err != nil || !ok {
		return none
	}
	return obj.(T)
}

// trim drops what no rule is made of, so that ten thousand pods stay small.
func trim(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		o.ManagedFields, o.Annotations, o.OwnerReferences = nil, nil, nil
		o.Spec = corev1.PodSpec{
			NodeName: o.Spec.NodeName, HostNetwork: o.Spec.HostNetwork,
			InitContainers: portsOf(o.Spec.InitContainers), Containers: portsOf(o.Spec.Containers),
		}
		o.Status = corev1.PodStatus{Phase: o.Status.Phase, PodIPs: o.Status.PodIPs}
	case *corev1.Namespace:
		o.ManagedFields, o.Annotations = nil, nil
	}
	return obj, nil
}

// portsOf are the containers that have ports, and no more of them.
func portsOf(containers []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for i := range containers {
		if len(containers[i].Ports) > 0 {
			out = append(out, corev1.Container{Ports: containers[i].Ports})
		}
	}
	return out
}
