package apiserver

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/registry"
)

// serviceResolver gives the address of a Service to those who call webhooks and
// aggregated API servers: its cluster IP, which masters route like any node.
type serviceResolver struct{ services *registry.Store }

// ResolveEndpoint returns the URL of a Service's port.
func (r serviceResolver) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	svc, err := registry.Read[*corev1.Service](ctx, r.services, namespace, name, registry.Cached)
	if err != nil {
		return nil, err
	}
	host := svc.Spec.ClusterIP
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		host = svc.Spec.ExternalName
	case host == "" || host == corev1.ClusterIPNone:
		return nil, fmt.Errorf("service %s/%s has no cluster IP", namespace, name)
	default:
		if !hasPort(svc, port) {
			return nil, fmt.Errorf("service %s/%s has no port %d", namespace, name, port)
		}
	}
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(int(port)))}, nil
}

func hasPort(svc *corev1.Service, port int32) bool {
	for _, p := range svc.Spec.Ports {
		if p.Port == port {
			return true
		}
	}
	return false
}
