package endpointslicemirroring

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/endpointslice/util"

	"github.com/gantry-run/gantry/runtime/controller/internal/subsets"
)

const (
	// managedBy is the label value by which slices are known as mirrors, that of upstream.
	managedBy = "endpointslicemirroring-controller.k8s.io"
	// perSubset is how many addresses of a subset are mirrored: as many as one slice may
	// hold.
	perSubset = 1000
)

// changes are what makes the slices mirror the Endpoints.
type changes struct {
	create, update, delete []*discoveryv1.EndpointSlice
	// kept are slices that are right already.
	kept []*discoveryv1.EndpointSlice
	// invalid addresses and those beyond perSubset are not mirrored.
	invalid, skipped int
}

// group tells slices apart: those of one family with the same ports.
type group struct {
	family discoveryv1.AddressType
	ports  util.PortMapKey
}

func groupOf(s *discoveryv1.EndpointSlice) group {
	// The library sorts what it is given, which may be of a cache.
	return group{s.AddressType, util.NewPortMapKey(slices.Clone(s.Ports))}
}

// plan compares the Endpoints with the slices that mirror them now.
func plan(e *corev1.Endpoints, current []*discoveryv1.EndpointSlice) changes {
	var c changes
	have := map[group][]*discoveryv1.EndpointSlice{}
	for _, s := range current {
		have[groupOf(s)] = append(have[groupOf(s)], s)
	}
	for _, want := range c.mirrors(e) {
		k := groupOf(want)
		there := have[k]
		delete(have, k)
		if len(there) == 0 {
			c.create = append(c.create, want)
			continue
		}
		c.delete = append(c.delete, there[1:]...)
		if mirrors(there[0], want) {
			c.kept = append(c.kept, there[0])
			continue
		}
		c.update = append(c.update, inPlaceOf(there[0], want))
	}
	for _, left := range have {
		c.delete = append(c.delete, left...)
	}
	slices.SortFunc(c.delete, func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
	c.recycle()
	return c
}

// recycle turns a slice that goes and one that comes into one that changes, so that there
// is never a moment without both.
func (c *changes) recycle() {
	c.create = slices.DeleteFunc(c.create, func(want *discoveryv1.EndpointSlice) bool {
		i := slices.IndexFunc(c.delete, func(s *discoveryv1.EndpointSlice) bool { return s.AddressType == want.AddressType })
		if i < 0 {
			return false
		}
		c.update = append(c.update, inPlaceOf(c.delete[i], want))
		c.delete = slices.Delete(c.delete, i, i+1)
		return true
	})
}

// mirrors are the slices of the Endpoints, one for each subset and family.
func (c *changes) mirrors(e *corev1.Endpoints) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for _, subset := range subsets.Repack(e.Subsets) {
		of := map[discoveryv1.AddressType]*discoveryv1.EndpointSlice{}
		left := perSubset
		add := func(addresses []corev1.EndpointAddress, ready bool) {
			for _, a := range addresses {
				if left == 0 {
					c.skipped++
					continue
				}
				endpoint, family, ok := endpointOf(a, ready)
				if !ok {
					c.invalid++
					continue
				}
				left--
				if of[family] == nil {
					of[family] = sliceOf(e, family, portsOf(subset.Ports))
					out = append(out, of[family])
				}
				of[family].Endpoints = append(of[family].Endpoints, endpoint)
			}
		}
		add(subset.Addresses, true)
		add(subset.NotReadyAddresses, false)
	}
	return out
}

func endpointOf(a corev1.EndpointAddress, ready bool) (discoveryv1.Endpoint, discoveryv1.AddressType, bool) {
	ip, err := netip.ParseAddr(a.IP)
	if err != nil {
		return discoveryv1.Endpoint{}, "", false
	}
	ip = ip.Unmap()
	family := discoveryv1.AddressTypeIPv4
	if ip.Is6() {
		family = discoveryv1.AddressTypeIPv6
	}
	out := discoveryv1.Endpoint{
		Addresses: []string{ip.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef: a.TargetRef, NodeName: a.NodeName,
	}
	if a.Hostname != "" {
		out.Hostname = &a.Hostname
	}
	return out, family, true
}

func portsOf(ports []corev1.EndpointPort) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for _, p := range ports {
		out = append(out, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol})
	}
	return out
}

// sliceOf is a slice without endpoints. It takes the labels and annotations of the
// Endpoints, but for those that are about their own writes.
func sliceOf(e *corev1.Endpoints, family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: e.Name + "-", Namespace: e.Namespace, Labels: map[string]string{}, Annotations: map[string]string{},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(e, corev1.SchemeGroupVersion.WithKind("Endpoints"))},
		},
		AddressType: family, Ports: ports,
	}
	maps.Copy(s.Labels, e.Labels)
	s.Labels[discoveryv1.LabelServiceName], s.Labels[discoveryv1.LabelManagedBy] = e.Name, managedBy
	maps.Copy(s.Annotations, e.Annotations)
	delete(s.Annotations, corev1.EndpointsLastChangeTriggerTime)
	delete(s.Annotations, corev1.LastAppliedConfigAnnotation)
	return s
}

// mirrors says whether a slice is what is wanted already.
func mirrors(s, want *discoveryv1.EndpointSlice) bool {
	return equality.Semantic.DeepEqual(s.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(s.Ports, want.Ports) &&
		maps.Equal(s.Labels, want.Labels) && maps.Equal(s.Annotations, want.Annotations) &&
		equality.Semantic.DeepEqual(s.OwnerReferences, want.OwnerReferences)
}

// inPlaceOf is what is wanted, under the name of a slice that is there.
func inPlaceOf(s, want *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	out := s.DeepCopy()
	out.Labels, out.Annotations, out.OwnerReferences = want.Labels, want.Annotations, want.OwnerReferences
	out.Endpoints, out.Ports = want.Endpoints, want.Ports
	return out
}
