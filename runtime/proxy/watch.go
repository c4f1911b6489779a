package proxy

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
)

// byService is the index of EndpointSlices by the Service that they belong to.
const byService = "service"

// watch follows the Services, their endpoints and this node's zone, and returns when
// all that exist are marked dirty. It fails when ctx ends before.
func (p *Proxy) watch(ctx context.Context) error {
	factory := client.Informers(p.api, informers.WithTransform(trim))
	p.services = factory.Core().V1().Services().Informer()
	p.slices = factory.Discovery().V1().EndpointSlices().Informer()
	if err := p.slices.AddIndexers(cache.Indexers{byService: func(obj any) ([]string, error) {
		return []string{serviceOf(obj.(*discoveryv1.EndpointSlice)).String()}, nil
	}}); err != nil {
		return err
	}
	p.nodes = newNodeAddresses(ctx, p.api, func() {
		p.markAll(func(s *corev1.Service) bool { return len(s.Spec.ExternalIPs) > 0 })
	})
	own := client.Informers(p.api, informers.WithTransform(trim), informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, p.cfg.NodeName).String()
	}))
	markService := func(s *corev1.Service) { p.mark(types.NamespacedName{Namespace: s.Namespace, Name: s.Name}) }
	markSlice := func(s *discoveryv1.EndpointSlice) { p.mark(serviceOf(s)) }
	handlers := []cache.InformerSynced{
		client.WatchAll(p.services, markService),
		// A slice may pass from one Service to another.
		client.Watch(p.slices, markSlice, func(old, now *discoveryv1.EndpointSlice) { markSlice(old); markSlice(now) }, markSlice),
		client.WatchAll(own.Core().V1().Nodes().Informer(), func(n *corev1.Node) { p.setZone(n.Labels[corev1.LabelTopologyZone]) }),
	}
	factory.Start(ctx.Done())
	own.Start(ctx.Done())
	return client.WaitForSync(ctx, handlers...)
}

// setZone takes this node's zone, by which all Services may prefer other endpoints. A
// node that has not registered yet, or that has no zone, prefers none.
func (p *Proxy) setZone(zone string) {
	p.mu.Lock()
	changed := p.node.Zone != zone
	p.node.Zone = zone
	p.mu.Unlock()
	if !changed {
		return
	}
	p.markAll(func(*corev1.Service) bool { return true })
}

// markAll marks the Services that are concerned by what is not theirs.
func (p *Proxy) markAll(concerned func(*corev1.Service) bool) {
	for _, obj := range p.services.GetIndexer().List() {
		if s := obj.(*corev1.Service); concerned(s) {
			p.mark(types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
		}
	}
}

func serviceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

// trim drops what no rule is made of, so that ten thousand Services stay small.
func trim(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Service:
		o.ManagedFields, o.Annotations, o.Spec.Selector = nil, nil, nil
	case *discoveryv1.EndpointSlice:
		o.ManagedFields, o.Annotations, o.OwnerReferences = nil, nil, nil
		for i := range o.Endpoints {
			o.Endpoints[i].TargetRef, o.Endpoints[i].Hostname, o.Endpoints[i].Hints = nil, nil, nil
		}
	case *corev1.Node:
		o.ManagedFields, o.Annotations, o.Status = nil, nil, corev1.NodeStatus{}
	}
	return obj, nil
}
