package registry

import (
	"context"
	stderrors "errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// mastersSlice, in namespace default, has the addresses of all masters.
const mastersSlice = "kubernetes"

// errNotAllowed is what a client is told of an address that is not dialled for it.
var errNotAllowed = stderrors.New("address not allowed")

// globalUnicast refuses addresses that mean something else to this server than to the
// node that reported them: loopback, link-local, multicast, unspecified. A name is
// refused unless all of its addresses are such.
func globalUnicast(ctx context.Context, host string) error {
	addresses := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		addresses = append(addresses, ip)
	} else if addresses, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return err
	}
	if len(addresses) == 0 {
		return fmt.Errorf("no addresses for hostname")
	}
	for _, ip := range addresses {
		if !ip.Unmap().IsGlobalUnicast() {
			return errNotAllowed
		}
	}
	return nil
}

// dialer decides which addresses of pods and nodes plain HTTP is carried to.
type dialer struct{ slices *Store }

// check refuses what is no global unicast address, and the masters: a node reports the
// addresses of its pods, and must not make a way out of this server to its own ports.
func (d dialer) check(ctx context.Context, host string) error {
	if err := globalUnicast(ctx, host); err != nil {
		return errors.NewBadRequest(err.Error())
	}
	masters, err := Read[*discoveryv1.EndpointSlice](ctx, d.slices, metav1.NamespaceDefault, mastersSlice, Cached)
	if err != nil {
		return errors.NewServiceUnavailable(fmt.Sprintf("the masters' addresses cannot be read, which nothing is proxied to: %v", err))
	}
	if isMaster(masters, host) {
		return errors.NewBadRequest(fmt.Sprintf("%v: %s is a master's", errNotAllowed, host))
	}
	return nil
}

func isMaster(masters *discoveryv1.EndpointSlice, host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(masters.Endpoints, func(e discoveryv1.Endpoint) bool {
		return slices.ContainsFunc(e.Addresses, func(s string) bool {
			m, err := netip.ParseAddr(s)
			return err == nil && m.Unmap() == ip.Unmap()
		})
	})
}

// mayCreate wants the verb "create" of a request, whatever its HTTP method: a WebSocket
// begins with GET, and who may read everything must not run commands by it.
func mayCreate(ctx context.Context, all authorizer.UnconditionalAuthorizer) error {
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if !ok {
		return errors.NewInternalError(stderrors.New("no request info in context"))
	}
	if info.Verb == "create" {
		return nil // that is what was authorized
	}
	asked, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return errors.NewInternalError(fmt.Errorf("error building authorizer attributes: %w", err))
	}
	create := asCreate{asked}
	decision, reason, err := all.Authorize(ctx, create)
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return errors.NewInternalError(err)
	}
	return responsewriters.ForbiddenStatusError(create, reason)
}

type asCreate struct{ authorizer.Attributes }

func (asCreate) GetVerb() string { return "create" }
