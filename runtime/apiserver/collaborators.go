package apiserver

import (
	"context"
	"crypto/rand"
	"math/big"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/apiserver/services"
	"github.com/gantry-run/gantry/runtime/apiserver/tokens"
)

// Prefixes of the keys that are no API objects.
const (
	ledgerPrefix  = "/gantry/services"
	mastersPrefix = "/gantry/masters"
)

// collaborators are what the storages of single kinds work with.
func (s *Server) collaborators(a *assembly, issuer *tokens.Issuer) (registry.Collaborators, error) {
	kubelet, err := kubeletTransport(s.cfg.Kubelet, "")
	if err != nil {
		return registry.Collaborators{}, err
	}
	here, err := kubeletTransport(s.cfg.Kubelet, "localhost")
	if err != nil {
		return registry.Collaborators{}, err
	}
	if a.addresses, err = s.allocator(a); err != nil {
		return registry.Collaborators{}, err
	}
	return registry.Collaborators{
		Kubelet: kubelet, Addresses: a.addresses,
		Tokens: issuer, Audience: s.cfg.ServiceAccount.Issuer, Verifier: a.tokens, Audiences: a.generic.Authentication.APIAudiences,
		Authorizer: a.generic.Authorization.Authorizer, Rules: a.roles, Components: components(a.etcd, here), Log: s.log,
	}, nil
}

// allocator gives Services their addresses.
func (s *Server) allocator(a *assembly) (*services.Allocator, error) {
	random := func(n int64) int64 {
		i, err := rand.Int(rand.Reader, big.NewInt(n))
		if err != nil {
			return 0 // the search in order that follows still finds one
		}
		return i.Int64()
	}
	reserved := append(addr.IPs{services.First(s.cfg.ServiceCIDRs)}, s.cfg.ClusterDNS...)
	allocator, err := services.New(s.cfg.ServiceCIDRs, s.cfg.ServiceNodePortRange, reserved,
		services.NewLedger(a.etcd, ledgerPrefix), random)
	if err != nil {
		return nil, err
	}
	allocator.AllocateFrom(serviceCIDRs{a.objects.serviceCIDRs})
	allocator.ShowAddresses(ipAddresses{a.loopback.NetworkingV1().IPAddresses(), a.objects.ipAddresses})
	allocator.Protect(services.Own{Pods: s.cfg.ClusterCIDRs, Nodes: func(ctx context.Context) ([]corev1.Node, error) {
		list, err := registry.ListWhere[*corev1.NodeList](ctx, a.objects.nodes, "", nil, registry.Cached)
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}})
	return allocator, nil
}
