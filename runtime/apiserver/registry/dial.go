package registry

import (
	"context"
	stderrors "errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

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

// sessionPaths are the kubelet's of commands and ports, which its own callers need
// "create" for. Through the proxy of a node it is this server that calls.
var sessionPaths = []string{"exec", "attach", "portForward", "run"}

// beginsSession reports whether a path of a kubelet, as path.Join leaves it, is one.
func beginsSession(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return slices.Contains(sessionPaths, first)
}

type asCreate struct{ authorizer.Attributes }

func (asCreate) GetVerb() string { return "create" }
