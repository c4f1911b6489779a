package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	utilproxy "k8s.io/apiserver/pkg/util/proxy"
)

// Proxy is the proxy subresource of nodes, pods and services: plain HTTP carried
// through the API server.
type Proxy struct {
	options runtime.Object
	pathOf  func(runtime.Object) string
	target  func(ctx context.Context, id string) (*url.URL, http.RoundTripper, error)
	// sessions, where set, is asked before a path is reached that begins a session.
	sessions func(ctx context.Context) error
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
	location, transport, err := r.target(ctx, id)
	if err != nil {
		return nil, err
	}
	// The empty path stays empty: the handler sends who asks for it on to the root, by
	// which relative links work.
	location.Path = utilnet.JoinPreservingTrailingSlash(location.Path, r.pathOf(opts))
	if r.sessions != nil && beginsSession(location.Path) {
		if err := r.sessions(ctx); err != nil {
			return nil, err
		}
	}
	return proxy.NewUpgradeAwareHandler(location, transport, true, false, proxy.NewErrorResponder(resp)), nil
}

// NewNodeProxy reaches the kubelet of a node, or another port of it
// ("[scheme:]name[:port]").
func NewNodeProxy(k *Kubelets, d dialer, transport http.RoundTripper, all authorizer.UnconditionalAuthorizer) *Proxy {
	return &Proxy{
		options:  &corev1.NodeProxyOptions{},
		sessions: func(ctx context.Context) error { return mayCreate(ctx, all) },
		pathOf:   func(o runtime.Object) string { return o.(*corev1.NodeProxyOptions).Path },
		target: func(ctx context.Context, id string) (*url.URL, http.RoundTripper, error) {
			scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
			if !valid {
				return nil, nil, errors.NewBadRequest(fmt.Sprintf("invalid node request %q", id))
			}
			kubelet, err := k.URL(ctx, name, "", nil)
			if err != nil {
				return nil, nil, err
			}
			if err := globalUnicast(ctx, kubelet.Hostname()); err != nil {
				return nil, nil, errors.NewBadRequest(err.Error())
			}
			if port == "" || port == kubelet.Port() {
				return kubelet, k.transport, nil
			}
			if err := d.check(ctx, kubelet.Hostname()); err != nil {
				return nil, nil, err
			}
			return webURL(scheme, kubelet.Hostname(), port), transport, nil
		},
	}
}

// NewPodProxy reaches a port of a pod ("[scheme:]name[:port]").
func NewPodProxy(pods *Store, d dialer, transport http.RoundTripper) *Proxy {
	return &Proxy{
		options: &corev1.PodProxyOptions{},
		pathOf:  func(o runtime.Object) string { return o.(*corev1.PodProxyOptions).Path },
		target: func(ctx context.Context, id string) (*url.URL, http.RoundTripper, error) {
			scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
			if !valid {
				return nil, nil, errors.NewBadRequest(fmt.Sprintf("invalid pod request %q", id))
			}
			pod, err := Read[*corev1.Pod](ctx, pods, genericapirequest.NamespaceValue(ctx), name, Fresh)
			if err != nil {
				return nil, nil, err
			}
			if pod.Status.PodIP == "" {
				return nil, nil, errors.NewServiceUnavailable(fmt.Sprintf("pod %s has no address yet", name))
			}
			if err := d.check(ctx, pod.Status.PodIP); err != nil {
				return nil, nil, err
			}
			return webURL(scheme, pod.Status.PodIP, podPort(pod, port)), transport, nil
		},
	}
}

// podPort is the number of a port of a pod; "" is its first.
func podPort(pod *corev1.Pod, port string) string {
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if port == "" || p.Name == port {
				return strconv.Itoa(int(p.ContainerPort))
			}
		}
	}
	return port
}

// NewServiceProxy reaches a port of a Service ("[scheme:]name[:port]") at one of its
// ready pods: an endpoint that is no pod of the namespace is somebody's claim.
func NewServiceProxy(services, pods, endpoints *Store, d dialer, transport http.RoundTripper) *Proxy {
	return &Proxy{
		options: &corev1.ServiceProxyOptions{},
		pathOf:  func(o runtime.Object) string { return o.(*corev1.ServiceProxyOptions).Path },
		target: func(ctx context.Context, id string) (*url.URL, http.RoundTripper, error) {
			scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
			if !valid {
				return nil, nil, errors.NewBadRequest(fmt.Sprintf("invalid service request %q", id))
			}
			namespace := genericapirequest.NamespaceValue(ctx)
			svc, err := Read[*corev1.Service](ctx, services, namespace, name, Fresh)
			if err != nil {
				return nil, nil, err
			}
			if port, err = servicePort(svc, port); err != nil {
				return nil, nil, err
			}
			list, err := ListWhere[*discoveryv1.EndpointSliceList](ctx, endpoints, namespace, nil, Cached)
			if err != nil {
				return nil, nil, err
			}
			host, err := utilproxy.RandomEndpoint(name, slicesOf(list, name), port, corev1.IPv4Protocol, func(e *discoveryv1.Endpoint) bool {
				return isPod(ctx, e, pods, namespace) && d.check(ctx, e.Addresses[0]) == nil
			})
			if err != nil {
				return nil, nil, err
			}
			if scheme == "" {
				scheme = "http"
			}
			return &url.URL{Scheme: scheme, Host: host}, transport, nil
		},
	}
}

// servicePort is the name of a Service's port, which may be given by its number.
func servicePort(svc *corev1.Service, port string) (string, error) {
	n, err := strconv.ParseInt(port, 10, 64)
	if err != nil {
		return port, nil //nolint:nilerr // it is a name
	}
	for _, p := range svc.Spec.Ports {
		if int64(p.Port) == n {
			return p.Name, nil
		}
	}
	return "", errors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", n, svc.Name))
}

func slicesOf(list *discoveryv1.EndpointSliceList, service string) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for i := range list.Items {
		if list.Items[i].Labels[discoveryv1.LabelServiceName] == service {
			out = append(out, &list.Items[i])
		}
	}
	return out
}

// isPod reports whether an endpoint is the address of a pod of the namespace.
func isPod(ctx context.Context, e *discoveryv1.Endpoint, pods *Store, namespace string) bool {
	if e.TargetRef == nil || e.TargetRef.Namespace != namespace || len(e.Addresses) == 0 {
		return false
	}
	pod, err := Read[*corev1.Pod](ctx, pods, namespace, e.TargetRef.Name, Cached)
	return err == nil && slices.ContainsFunc(pod.Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == e.Addresses[0] })
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
