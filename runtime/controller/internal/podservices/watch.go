package podservices

import (
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/endpointslice/util"

	"github.com/gantry-run/gantry/runtime/client"
)

// Watch calls queue with each Service that selects a pod which changes, before or after
// it. Changes that no endpoint shows concern nobody. It returns whether the initial list
// was seen.
func Watch(pods cache.SharedInformer, services corelisters.ServiceLister, log *slog.Logger, queue func(types.NamespacedName)) cache.InformerSynced {
	changed := func(old, now *corev1.Pod) {
		// The library tells a missing pod by a nil interface.
		var before, after any
		if old != nil {
			before = old
		}
		if now != nil {
			after = now
		}
		keys, err := util.GetServicesToUpdate(services, util.GetPodUpdateProjectionKey(before, after))
		if err != nil {
			log.Error("cannot find the Services of a pod", "error", err)
			return
		}
		for key := range keys {
			if namespace, name, err := cache.SplitMetaNamespaceKey(key); err == nil {
				queue(types.NamespacedName{Namespace: namespace, Name: name})
			}
		}
	}
	return client.Watch(pods,
		func(p *corev1.Pod) { changed(nil, p) },
		func(old, p *corev1.Pod) { changed(old, p) },
		func(p *corev1.Pod) { changed(p, nil) })
}
