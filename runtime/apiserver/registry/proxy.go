package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/proxy"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Proxy is the proxy subresource of nodes, pods and services: plain HTTP carried
// through the API server.
type Proxy struct {
	options   runtime.Object
	pathOf    func(runtime.Object) string
	target    func(ctx context.Context, id string) (*url.URL, error)
	transport http.RoundTripper
}

var _ rest.Connecter = &Proxy{}

// New returns an empty options object.
func (r *Proxy) New() runtime.Object { return r.options.DeepCopyObject() }

// Destroy does nothing: there is no storage.
func (r *Proxy) Destroy() {}

// ConnectMethods are all of HTTP's.
func (r *Proxy) ConnectMethods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
}

// NewConnectOptions returns the options; what follows in the path is one of them.
func (r *Proxy) NewConnectOptions() (runtime.Object, bool, string) {
	return r.options.DeepCopyObject(), true, "path"
}

// Connect carries the request to its target.
func (r *Proxy) Connect(ctx context.Context, id string, opts runtime.Object, resp rest.Responder) (http.Handler, error) {
	location, err := r.target(ctx, id)
	if err != nil {
		return nil, err
	}
	location.Path = path.Join("/", location.Path, r.pathOf(opts))
	if strings.HasSuffix(r.pathOf(opts), "/") && location.Path != "/" {
		location.Path += "/"
	}
	return proxy.NewUpgradeAwareHandler(location, r.transport, true, false, proxy.NewErrorResponder(resp)), nil
}

// NewNodeProxy reaches the kubelet of a node.
func NewNodeProxy(k *Kubelets) *Proxy {
	return &Proxy{
		options: &corev1.NodeProxyOptions{}, transport: k.transport,
		pathOf: func(o runtime.Object) string { return o.(*corev1.NodeProxyOptions).Path },
		target: func(ctx context.Context, id string) (*url.URL, error) {
			_, name, _, valid := utilnet.SplitSchemeNamePort(id)
			if !valid {
				return nil, errors.NewBadRequest(fmt.Sprintf("invalid node request %q", id))
			}
			return k.URL(ctx, name, "/", nil)
		},
	}
}

// NewPodProxy reaches a port of a pod ("[scheme:]name[:port]").
func NewPodProxy(pods *Store, transport http.RoundTripper) *Proxy {
	return &Proxy{
		options: &corev1.PodProxyOptions{}, transport: transport,
		pathOf: func(o runtime.Object) string { return o.(*corev1.PodProxyOptions).Path },
		target: func(ctx context.Context, id string) (*url.URL, error) {
			scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
			if !valid {
				return nil, errors.NewBadRequest(fmt.Sprintf("invalid pod request %q", id))
			}
			pod, err := Read[*corev1.Pod](ctx, pods, genericapirequest.NamespaceValue(ctx), name, Fresh)
			if err != nil {
				return nil, err
			}
			for _, c := range pod.Spec.Containers {
				for _, p := range c.Ports {
					if port == "" || p.Name == port {
						port = strconv.Itoa(int(p.ContainerPort))
					}
				}
			}
			if pod.Status.PodIP == "" {
				return nil, errors.NewServiceUnavailable(fmt.Sprintf("pod %s has no address yet", name))
			}
			return webURL(scheme, pod.Status.PodIP, port), nil
		},
	}
}

// NewServiceProxy reaches a port of a Service ("[scheme:]name[:port]") at its
// cluster IP.
func NewServiceProxy(services *Store, transport http.RoundTripper) *Proxy {
	return &Proxy{
		options: &corev1.ServiceProxyOptions{}, transport: transport,
		pathOf: func(o runtime.Object) string { return o.(*corev1.ServiceProxyOptions).Path },
		target: func(ctx context.Context, id string) (*url.URL, error) {
			scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
			if !valid {
				return nil, errors.NewBadRequest(fmt.Sprintf("invalid service request %q", id))
			}
			svc, err := Read[*corev1.Service](ctx, services, genericapirequest.NamespaceValue(ctx), name, Fresh)
			if err != nil {
				return nil, err
			}
			for _, p := range svc.Spec.Ports {
				if port == "" || p.Name == port {
					port = strconv.Itoa(int(p.Port))
				}
			}
			if ip := svc.Spec.ClusterIP; ip == "" || ip == corev1.ClusterIPNone {
				return nil, errors.NewServiceUnavailable(fmt.Sprintf("service %s has no cluster IP", name))
			}
			return webURL(scheme, svc.Spec.ClusterIP, port), nil
		},
	}
}

func webURL(scheme, host, port string) *url.URL {
	if scheme == "" {
		scheme = "http"
	}
	if port == "" {
		port = "80"
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}
}
