package endpoints

import (
	"maps"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/endpointslice"
	"k8s.io/endpointslice/util"

	"github.com/gantry-run/gantry/runtime/controller/internal/subsets"
	"github.com/gantry-run/gantry/runtime/pod"
)

// The label by which Endpoints are known as a controller's, and upstream's value of it.
const (
	managedByLabel = "endpoints.kubernetes.io/managed-by"
	managedBy      = "endpoint-controller"
)

// plan is the Endpoints that the pods of a Service give, or nil where current (nil if
// there is none) says the same. trigger is when the change began that is shown, zero if
// that is not known.
func plan(service *corev1.Service, pods []*corev1.Pod, current *corev1.Endpoints, trigger time.Time) *corev1.Endpoints {
	packed, over := truncate(subsets.Repack(addresses(service, pods)))
	want := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: service.Name, Namespace: service.Namespace}}
	if current != nil {
		want = current.DeepCopy()
	}
	want.Subsets = packed
	want.Labels = maps.Clone(service.Labels)
	if want.Labels == nil {
		want.Labels = map[string]string{}
	}
	delete(want.Labels, corev1.IsHeadlessService)
	if service.Spec.ClusterIP == "" || service.Spec.ClusterIP == corev1.ClusterIPNone {
		want.Labels[corev1.IsHeadlessService] = ""
	}
	want.Labels[managedByLabel] = managedBy
	if want.Annotations == nil {
		want.Annotations = map[string]string{}
	}
	delete(want.Annotations, corev1.EndpointsOverCapacity)
	if over {
		want.Annotations[corev1.EndpointsOverCapacity] = "truncated"
	}
	if current != nil && maps.Equal(want.Labels, current.Labels) && maps.Equal(want.Annotations, current.Annotations) &&
		equality.Semantic.DeepEqual(subsets.Repack(current.Subsets), packed) {
		return nil
	}
	delete(want.Annotations, corev1.EndpointsLastChangeTriggerTime)
	if !trigger.IsZero() {
		want.Annotations[corev1.EndpointsLastChangeTriggerTime] = trigger.UTC().Format(time.RFC3339Nano)
	}
	return want
}

// addresses are the pods of a Service, each with each of its ports.
func addresses(service *corev1.Service, pods []*corev1.Pod) []corev1.EndpointSubset {
	var out []corev1.EndpointSubset
	for _, p := range pods {
		if !util.ShouldPodBeInEndpoints(p, service.Spec.PublishNotReadyAddresses) {
			continue
		}
		address, ok := addressOf(service, p)
		if !ok {
			continue
		}
		add := func(ports ...corev1.EndpointPort) {
			s := corev1.EndpointSubset{Ports: ports}
			if service.Spec.PublishNotReadyAddresses || pod.IsReady(p) {
				s.Addresses = []corev1.EndpointAddress{address}
			} else {
				s.NotReadyAddresses = []corev1.EndpointAddress{address}
			}
			out = append(out, s)
		}
		if len(service.Spec.Ports) == 0 && service.Spec.ClusterIP == corev1.ClusterIPNone {
			add()
		}
		for i := range service.Spec.Ports {
			of := &service.Spec.Ports[i]
			number, err := endpointslice.FindPort(p, of)
			if err != nil {
				continue // this pod has no port of that name
			}
			add(corev1.EndpointPort{Name: of.Name, Port: int32(number), Protocol: of.Protocol, AppProtocol: of.AppProtocol})
		}
	}
	return out
}

// addressOf is the address of a pod in the first family of a Service; ok is false where
// it has none.
func addressOf(service *corev1.Service, p *corev1.Pod) (a corev1.EndpointAddress, ok bool) {
	six := wantsIPv6(service, p)
	for _, of := range p.Status.PodIPs {
		ip, err := netip.ParseAddr(of.IP)
		if err != nil || ip.Unmap().Is6() != six {
			continue
		}
		a = corev1.EndpointAddress{
			IP: ip.Unmap().String(), NodeName: &p.Spec.NodeName,
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID},
		}
		if util.ShouldSetHostname(p, service) {
			a.Hostname = p.Spec.Hostname
		}
		return a, true
	}
	return a, false
}

func wantsIPv6(service *corev1.Service, p *corev1.Pod) bool {
	if len(service.Spec.IPFamilies) > 0 {
		return service.Spec.IPFamilies[0] == corev1.IPv6Protocol
	}
	text := p.Status.PodIP
	if service.Spec.ClusterIP != "" && service.Spec.ClusterIP != corev1.ClusterIPNone {
		text = service.Spec.ClusterIP
	}
	ip, err := netip.ParseAddr(text)
	return err == nil && ip.Unmap().Is6()
}
