package reconcilers

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serviceName is the Service by which pods and clients find the API.
const serviceName = "kubernetes"

// reconcile writes the live masters into the EndpointSlice and the Endpoints of the
// kubernetes Service, if they differ.
func (r *LeaseEndpoints) reconcile(ctx context.Context) error {
	addresses, err := r.live(ctx)
	if err != nil {
		return err
	}
	// Nobody elsewhere reaches a master by its loopback address, and a list without
	// an entry would only tell clients that there is no API.
	var reachable []netip.Addr
	for _, a := range addresses {
		if !a.IsLoopback() {
			reachable = append(reachable, a)
		}
	}
	if len(reachable) == 0 {
		return nil
	}
	if err := r.writeSlice(ctx, Slice(reachable, r.port)); err != nil {
		return fmt.Errorf("EndpointSlice default/kubernetes: %w", err)
	}
	if err := r.writeEndpoints(ctx, Endpoints(reachable, r.port)); err != nil {
		return fmt.Errorf("Endpoints default/kubernetes: %w", err)
	}
	return nil
}

// Slice is the EndpointSlice of the masters.
func Slice(masters []netip.Addr, port int32) *discoveryv1.EndpointSlice {
	name, protocol, ready := "https", corev1.ProtocolTCP, true
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: serviceName, Namespace: metav1.NamespaceDefault,
			Labels: map[string]string{discoveryv1.LabelServiceName: serviceName},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Protocol: &protocol, Port: &port}},
	}
	if masters[0].Is6() {
		s.AddressType = discoveryv1.AddressTypeIPv6
	}
	for _, m := range masters {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{m.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
	}
	return s
}

// Endpoints is the older form of the same.
func Endpoints(masters []netip.Addr, port int32) *corev1.Endpoints {
	subset := corev1.EndpointSubset{Ports: []corev1.EndpointPort{{Name: "https", Port: port, Protocol: corev1.ProtocolTCP}}}
	for _, m := range masters {
		subset.Addresses = append(subset.Addresses, corev1.EndpointAddress{IP: m.String()})
	}
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{
			Name: serviceName, Namespace: metav1.NamespaceDefault,
			// The slice is written here too; no controller shall mirror it.
			Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"},
		},
		Subsets: []corev1.EndpointSubset{subset},
	}
}

func (r *LeaseEndpoints) writeSlice(ctx context.Context, want *discoveryv1.EndpointSlice) error {
	c := r.kube.DiscoveryV1().EndpointSlices(want.Namespace)
	have, err := c.Get(ctx, want.Name, metav1.GetOptions{})
	if errors.IsNotFound(err) {
		_, err = c.Create(ctx, want, metav1.CreateOptions{})
		return ignoreRace(err)
	}
	if err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(have.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(have.Ports, want.Ports) {
		return nil
	}
	have.Endpoints, have.Ports = want.Endpoints, want.Ports
	_, err = c.Update(ctx, have, metav1.UpdateOptions{})
	return err
}

func (r *LeaseEndpoints) writeEndpoints(ctx context.Context, want *corev1.Endpoints) error {
	c := r.kube.CoreV1().Endpoints(want.Namespace)
	have, err := c.Get(ctx, want.Name, metav1.GetOptions{})
	if errors.IsNotFound(err) {
		_, err = c.Create(ctx, want, metav1.CreateOptions{})
		return ignoreRace(err)
	}
	if err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(have.Subsets, want.Subsets) {
		return nil
	}
	have.Subsets = want.Subsets
	_, err = c.Update(ctx, have, metav1.UpdateOptions{})
	return err
}

// ignoreRace: another master made it first, with the same list.
func ignoreRace(err error) error {
	if errors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
