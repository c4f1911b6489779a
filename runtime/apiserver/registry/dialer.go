package registry

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mastersSlice, in namespace default, has the addresses of all masters.
const mastersSlice = "kubernetes"

// dialer decides which addresses of pods and nodes plain HTTP is carried to: a node
// reports the addresses of its pods, and must not make a way out of this server to the
// ports of a master, nor to Services past the policies that hold for pods.
type dialer struct {
	masters func(context.Context) (*discoveryv1.EndpointSlice, error)
	local   func() ([]net.Addr, error)
	// service says whether an address is of the ranges of Services.
	service func(context.Context, netip.Addr) (bool, error)
}

func newDialer(slices *Store, service func(context.Context, netip.Addr) (bool, error)) dialer {
	return dialer{local: net.InterfaceAddrs, service: service, masters: func(ctx context.Context) (*discoveryv1.EndpointSlice, error) {
		return Read[*discoveryv1.EndpointSlice](ctx, slices, metav1.NamespaceDefault, mastersSlice, Cached)
	}}
}

// check tells early of a host that would not be dialled. A name may have another address
// by then, which control sees.
func (d dialer) check(ctx context.Context, host string) error {
	if err := globalUnicast(ctx, host); err != nil {
		return errors.NewBadRequest(err.Error())
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil //nolint:nilerr // it is a name
	}
	return d.allowed(ctx, ip)
}

// control is that of a net.Dialer: address is what is connected to.
func (d dialer) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return d.allowed(ctx, to.Addr())
}

func (d dialer) allowed(ctx context.Context, ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() {
		return errors.NewBadRequest(errNotAllowed.Error())
	}
	service, err := d.service(ctx, ip)
	if err != nil {
		return errors.NewServiceUnavailable(fmt.Sprintf("the ranges of Services cannot be read, which nothing is proxied to: %v", err))
	}
	if service {
		return errors.NewBadRequest(fmt.Sprintf("%v: %s is of the range of Services", errNotAllowed, ip))
	}
	local, err := d.local()
	if err != nil {
		return errors.NewServiceUnavailable(fmt.Sprintf("the addresses of this master cannot be read, which nothing is proxied to: %v", err))
	}
	masters, err := d.masters(ctx)
	if err != nil {
		return errors.NewServiceUnavailable(fmt.Sprintf("the masters' addresses cannot be read, which nothing is proxied to: %v", err))
	}
	if isMaster(masters, ip) || isLocal(local, ip) {
		return errors.NewBadRequest(fmt.Sprintf("%v: %s is a master's", errNotAllowed, ip))
	}
	return nil
}

func isMaster(masters *discoveryv1.EndpointSlice, ip netip.Addr) bool {
	return slices.ContainsFunc(masters.Endpoints, func(e discoveryv1.Endpoint) bool {
		return slices.ContainsFunc(e.Addresses, func(s string) bool {
			m, err := netip.ParseAddr(s)
			return err == nil && m.Unmap() == ip
		})
	})
}

func isLocal(local []net.Addr, ip netip.Addr) bool {
	return slices.ContainsFunc(local, func(a net.Addr) bool {
		n, is := a.(*net.IPNet)
		return is && n.IP.Equal(ip.AsSlice())
	})
}

// transport reaches pods, Services and ports of nodes. What answers there has a
// certificate of its own, or none: it is dialled by address, and is sent no credentials
// of ours.
func (d dialer) transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DialContext = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, ControlContext: d.control}).DialContext
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return t
}
