package apiserver

import (
	"context"
	"net/netip"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	networkingclient "k8s.io/client-go/kubernetes/typed/networking/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/apiserver/services"
)

// serviceCIDRs lists the ranges of cluster IPs.
type serviceCIDRs struct{ store *registry.Store }

// ServiceCIDRs lists all, past any cache: nothing may be given of one that is being
// deleted.
func (r serviceCIDRs) ServiceCIDRs(ctx context.Context) ([]networkingv1.ServiceCIDR, error) {
	list, err := registry.ListWhere[*networkingv1.ServiceCIDRList](ctx, r.store, "", nil, registry.Fresh)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// ipAddresses are the IPAddresses, written as any client writes them.
type ipAddresses struct {
	client networkingclient.IPAddressInterface
	store  *registry.Store
}

var _ services.Objects = ipAddresses{}

// Create makes the one of a Service.
func (a ipAddresses) Create(ctx context.Context, ip netip.Addr, namespace, name string) (bool, error) {
	_, err := a.client.Create(ctx, services.NewIPAddress(ip, namespace, name), metav1.CreateOptions{})
	if !errors.IsAlreadyExists(err) {
		return err == nil, err
	}
	o, err := a.get(ctx, ip)
	return o != nil && services.BelongsTo(o, namespace, name), err
}

// get returns nil where there is none.
func (a ipAddresses) get(ctx context.Context, ip netip.Addr) (*networkingv1.IPAddress, error) {
	o, err := registry.Read[*networkingv1.IPAddress](ctx, a.store, "", ip.String(), registry.Fresh)
	if errors.IsNotFound(err) {
		return nil, nil
	}
	return o, err
}

// Release deletes the one of a Service.
func (a ipAddresses) Release(ctx context.Context, ip netip.Addr, namespace, name string) error {
	o, err := a.get(ctx, ip)
	if err != nil || o == nil || !services.BelongsTo(o, namespace, name) {
		return err
	}
	return a.Delete(ctx, o)
}

// Holder names who has an address.
func (a ipAddresses) Holder(ctx context.Context, ip netip.Addr) (string, error) {
	o, err := a.get(ctx, ip)
	if err != nil || o == nil {
		return "", err
	}
	return "IPAddress " + o.Name, nil
}

// List lists all.
func (a ipAddresses) List(ctx context.Context) ([]networkingv1.IPAddress, error) {
	list, err := registry.ListWhere[*networkingv1.IPAddressList](ctx, a.store, "", nil, registry.Fresh)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Delete deletes one as it was read.
func (a ipAddresses) Delete(ctx context.Context, o *networkingv1.IPAddress) error {
	err := a.client.Delete(ctx, o.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(o.UID))})
	if errors.IsNotFound(err) || errors.IsConflict(err) { // gone, or another one of the address
		return nil
	}
	return err
}
