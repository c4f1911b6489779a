package services

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/addr"
)

// Own are the addresses of the cluster beyond cluster IPs: no Service may take one as
// an external IP, since traffic to it would go to that Service's endpoints instead.
type Own struct {
	// Pods is where pod addresses lie.
	Pods addr.Prefixes
	// Nodes lists the nodes.
	Nodes func(ctx context.Context) ([]corev1.Node, error)
}

// Protect makes an allocator refuse external IPs among these. It is called before the
// allocator is used; without it only the service range is protected.
func (a *Allocator) Protect(o Own) { a.own = o }

// IsServiceAddress says whether an address lies in a range of cluster IPs.
func (a *Allocator) IsServiceAddress(ctx context.Context, ip netip.Addr) (bool, error) {
	ranges, err := a.all(ctx)
	return within(ranges, ip).IsValid(), err
}

// external refuses external IPs that a Service did not have before and that are the
// cluster's own.
func (a *Allocator) external(ctx context.Context, s, old *corev1.Service) error {
	var nodes map[netip.Addr]string
	var ranges []netip.Prefix
	for i, text := range s.Spec.ExternalIPs {
		ip, err := netip.ParseAddr(text)
		if err != nil || old != nil && slices.Contains(old.Spec.ExternalIPs, text) {
			continue // of what is not an address, validation says so
		}
		if ranges == nil {
			if ranges, err = a.all(ctx); err != nil {
				return err
			}
		}
		ip = ip.Unmap()
		path := field.NewPath("spec", "externalIPs").Index(i)
		switch {
		case within(ranges, ip).IsValid():
			return field.Invalid(path, text, fmt.Sprintf("may not be in the service range %s: its addresses are given as cluster IPs", within(ranges, ip)))
		case a.own.Pods.Contains(ip):
			return field.Invalid(path, text, fmt.Sprintf("may not be in the pod range %s: its addresses are pods'", a.own.Pods))
		}
		if nodes == nil {
			if nodes, err = a.nodes(ctx); err != nil {
				return fmt.Errorf("compare external IPs with the nodes' addresses: %w", err)
			}
		}
		if name, ok := nodes[ip]; ok {
			return field.Invalid(path, text, fmt.Sprintf("may not be an address of node %s; use a Service of type NodePort for traffic to nodes", name))
		}
	}
	return nil
}

// nodes are the nodes' addresses, with their names.
func (a *Allocator) nodes(ctx context.Context) (map[netip.Addr]string, error) {
	out := map[netip.Addr]string{}
	if a.own.Nodes == nil {
		return out, nil
	}
	list, err := a.own.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		for _, address := range list[i].Status.Addresses {
			if ip, err := netip.ParseAddr(address.Address); err == nil {
				out[ip.Unmap()] = list[i].Name
			}
		}
	}
	return out, nil
}
