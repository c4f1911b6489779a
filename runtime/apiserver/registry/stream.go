package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericrest "k8s.io/apiserver/pkg/registry/generic/rest"
	"k8s.io/apiserver/pkg/registry/rest"
	utilproxy "k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// stream is what exec, attach and portforward share: a request that is upgraded
// and carried to the kubelet of the pod.
type stream struct {
	pods     *Store
	kubelets *Kubelets
	all      authorizer.UnconditionalAuthorizer
}

func (s stream) Destroy() {}
func (s stream) ConnectMethods() []string {
	return []string{http.MethodGet, http.MethodPost}
}

// target finds the pod and the URL at its kubelet.
func (s stream) target(ctx context.Context, name, verb, container string, query url.Values) (*url.URL, error) {
	pod, err := Read[*corev1.Pod](ctx, s.pods, genericapirequest.NamespaceValue(ctx), name, Fresh)
	if err != nil {
		return nil, err
	}
	if verb != "portForward" {
		if container, err = pickContainer(pod, container); err != nil {
			return nil, err
		}
	}
	if pod.Spec.NodeName == "" {
		return nil, errors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", name))
	}
	return s.kubelets.URL(ctx, pod.Spec.NodeName, path.Join("/", verb, pod.Namespace, pod.Name, container), query)
}

// pickContainer returns the container that is asked for, or the only one.
func pickContainer(pod *corev1.Pod, name string) (string, error) {
	var names []string
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
	}
	if name == "" {
		if len(names) != 1 {
			return "", errors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: %v", pod.Name, names))
		}
		return names[0], nil
	}
	if c, _ := podutil.FindContainer(&pod.Spec, name); c != nil {
		return name, nil
	}
	return "", errors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
}

// upgrade carries an upgraded connection as it is.
func (s stream) upgrade(location *url.URL, r rest.Responder) *proxy.UpgradeAwareHandler {
	h := proxy.NewUpgradeAwareHandler(location, s.kubelets.transport, false, true, proxy.NewErrorResponder(r))
	h.RejectForwardingRedirects = true
	return h
}

// command carries exec and attach. Newer clients speak WebSocket, which is turned
// into the SPDY that kubelets speak.
func (s stream) command(location *url.URL, r rest.Responder, o utilproxy.Options) http.Handler {
	translator := utilproxy.NewStreamTranslatorHandler(location, s.kubelets.transport, 0, o)
	return utilproxy.NewTranslatingHandler(s.upgrade(location, r), translator, wsstream.IsWebSocketRequestWithStreamCloseProtocol)
}

func streamQuery(stdin, stdout, stderr, tty bool) url.Values {
	q := url.Values{}
	for name, on := range map[string]bool{"input": stdin, "output": stdout, "error": stderr, "tty": tty} {
		if on {
			q.Set(name, "1")
		}
	}
	return q
}

// Exec is pods/exec.
type Exec struct{ stream }

// NewExec returns the subresource.
func NewExec(pods *Store, k *Kubelets, all authorizer.UnconditionalAuthorizer) *Exec {
	return &Exec{stream{pods, k, all}}
}

var _ rest.Connecter = &Exec{}

// New returns what admission sees of a request: its options.
func (r *Exec) New() runtime.Object { return &corev1.PodExecOptions{} }

// NewConnectOptions returns the options of the query.
func (r *Exec) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodExecOptions{}, false, ""
}

// Connect runs a command in a container.
func (r *Exec) Connect(ctx context.Context, name string, opts runtime.Object, resp rest.Responder) (http.Handler, error) {
	if err := mayCreate(ctx, r.all); err != nil {
		return nil, err
	}
	o, ok := opts.(*corev1.PodExecOptions)
	if !ok {
		return nil, fmt.Errorf("unexpected options %T", opts)
	}
	q := streamQuery(o.Stdin, o.Stdout, o.Stderr, o.TTY)
	for _, c := range o.Command {
		q.Add("command", c)
	}
	location, err := r.target(ctx, name, "exec", o.Container, q)
	if err != nil {
		return nil, err
	}
	return r.command(location, resp, utilproxy.Options{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Tty: o.TTY}), nil
}

// Attach is pods/attach.
type Attach struct{ stream }

// NewAttach returns the subresource.
func NewAttach(pods *Store, k *Kubelets, all authorizer.UnconditionalAuthorizer) *Attach {
	return &Attach{stream{pods, k, all}}
}

var _ rest.Connecter = &Attach{}

// New returns what admission sees of a request: its options.
func (r *Attach) New() runtime.Object { return &corev1.PodAttachOptions{} }

// NewConnectOptions returns the options of the query.
func (r *Attach) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodAttachOptions{}, false, ""
}

// Connect attaches to a running container.
func (r *Attach) Connect(ctx context.Context, name string, opts runtime.Object, resp rest.Responder) (http.Handler, error) {
	if err := mayCreate(ctx, r.all); err != nil {
		return nil, err
	}
	o, ok := opts.(*corev1.PodAttachOptions)
	if !ok {
		return nil, fmt.Errorf("unexpected options %T", opts)
	}
	location, err := r.target(ctx, name, "attach", o.Container, streamQuery(o.Stdin, o.Stdout, o.Stderr, o.TTY))
	if err != nil {
		return nil, err
	}
	return r.command(location, resp, utilproxy.Options{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Tty: o.TTY}), nil
}

// PortForward is pods/portforward.
type PortForward struct{ stream }

// NewPortForward returns the subresource.
func NewPortForward(pods *Store, k *Kubelets, all authorizer.UnconditionalAuthorizer) *PortForward {
	return &PortForward{stream{pods, k, all}}
}

var _ rest.Connecter = &PortForward{}

// New returns what admission sees of a request: its options.
func (r *PortForward) New() runtime.Object { return &corev1.PodPortForwardOptions{} }

// NewConnectOptions returns the options of the query.
func (r *PortForward) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodPortForwardOptions{}, false, ""
}

// Connect forwards connections to ports of the pod. Newer clients tunnel SPDY
// through a WebSocket.
func (r *PortForward) Connect(ctx context.Context, name string, opts runtime.Object, resp rest.Responder) (http.Handler, error) {
	if err := mayCreate(ctx, r.all); err != nil {
		return nil, err
	}
	o, ok := opts.(*corev1.PodPortForwardOptions)
	if !ok {
		return nil, fmt.Errorf("unexpected options %T", opts)
	}
	q := url.Values{}
	for _, p := range o.Ports {
		q.Add("port", strconv.Itoa(int(p)))
	}
	location, err := r.target(ctx, name, "portForward", "", q)
	if err != nil {
		return nil, err
	}
	direct := r.upgrade(location, resp)
	return utilproxy.NewTranslatingHandler(direct, utilproxy.NewTunnelingHandler(direct), wsstream.IsWebSocketRequestWithTunnelingProtocol), nil
}

// Log is pods/log.
type Log struct{ stream }

// New returns what it is read of.
func (r *Log) New() runtime.Object { return &corev1.Pod{} }

// NewLog returns the subresource.
func NewLog(pods *Store, k *Kubelets) *Log { return &Log{stream{pods: pods, kubelets: k}} }

var (
	_ rest.GetterWithOptions = &Log{}
	_ rest.StorageMetadata   = &Log{}
)

// ProducesMIMETypes says that logs are text.
func (r *Log) ProducesMIMETypes(string) []string { return []string{"text/plain"} }

// ProducesObject says the same to the API's description.
func (r *Log) ProducesObject(string) any { return "" }

// NewGetOptions returns the options of the query.
func (r *Log) NewGetOptions() (runtime.Object, bool, string) {
	return &corev1.PodLogOptions{}, false, ""
}

// Get streams a container's log from its kubelet.
func (r *Log) Get(ctx context.Context, name string, opts runtime.Object) (runtime.Object, error) {
	o, ok := opts.(*corev1.PodLogOptions)
	if !ok {
		return nil, fmt.Errorf("unexpected options %T", opts)
	}
	location, err := r.target(ctx, name, "containerLogs", o.Container, logQuery(o))
	if err != nil {
		return nil, err
	}
	return &genericrest.LocationStreamer{
		Location: location, Transport: r.kubelets.transport, ContentType: "text/plain", Flush: o.Follow,
		ResponseChecker: genericrest.NewGenericHttpResponseChecker(corev1.Resource("pods/log"), name),
		RedirectChecker: genericrest.PreventRedirects,
	}, nil
}

func logQuery(o *corev1.PodLogOptions) url.Values {
	q := url.Values{}
	for name, on := range map[string]bool{"follow": o.Follow, "previous": o.Previous, "timestamps": o.Timestamps} {
		if on {
			q.Set(name, "true")
		}
	}
	for name, n := range map[string]*int64{"sinceSeconds": o.SinceSeconds, "tailLines": o.TailLines, "limitBytes": o.LimitBytes} {
		if n != nil {
			q.Set(name, strconv.FormatInt(*n, 10))
		}
	}
	if o.SinceTime != nil {
		q.Set("sinceTime", o.SinceTime.UTC().Format("2006-01-02T15:04:05Z07:00"))
	}
	if o.Stream != nil {
		q.Set("stream", *o.Stream)
	}
	return q
}
