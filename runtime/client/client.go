package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/keypair"
)

// Options is an API client's identity and its way to the masters. The identity is Pair,
// or else PEM that is held in memory, so that bootstrap can use credentials that it
// never writes.
type Options struct {
	// Servers are masters as host:port; at least one.
	Servers []string
	// ServerName is verified in each master's certificate (default config.APIServerName).
	ServerName string
	CA         []byte
	Cert       []byte
	Key        []byte
	// Pair is a certificate in files that are replaced while the client is used.
	Pair      *keypair.Pair
	UserAgent string
	// Dial reaches a master (default: TCP with a bounded time to connect).
	Dial DialFunc
	// Patient makes watches, and requests marked by [Patient], wait for a master.
	Patient bool
}

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// FromConfig reads the files that a process's configuration names. A process is patient:
// it goes on for as long as its server does.
func FromConfig(c config.APIClient, userAgent string) (Options, error) {
	ca, err := os.ReadFile(c.CAFile)
	if err != nil {
		return Options{}, fmt.Errorf("read the API credentials: %w", err)
	}
	pair, err := keypair.Load(c.KeyPair)
	if err != nil {
		return Options{}, fmt.Errorf("read the API credentials: %w", err)
	}
	return Options{Servers: c.Servers, ServerName: c.ServerName, UserAgent: userAgent, CA: ca, Pair: pair, Patient: true}, nil
}

// Client is a clientset and the REST configuration behind it.
type Client struct {
	kubernetes.Interface
	// REST speaks protobuf where the kind has it and JSON elsewhere. It has no
	// client-side rate limit: the server protects itself.
	REST   *rest.Config
	dialer *Dialer
}

// New returns a client. It dials nothing yet.
func New(o Options) (*Client, error) {
	if len(o.Servers) == 0 {
		return nil, fmt.Errorf("no master is known: the list of API servers is empty")
	}
	if o.ServerName == "" {
		o.ServerName = config.APIServerName
	}
	dialer := NewDialer(o.Servers, o.Dial)
	cfg := &rest.Config{
		// The host is a name only: the dialer decides which master answers.
		Host:      "https://" + o.ServerName,
		UserAgent: o.UserAgent,
		Dial:      dialer.DialContext,
		QPS:       -1,
		// Masters and nodes share a network that is faster than gzip, and the server
		// would keep a compressor for each watch.
		DisableCompression: true,
		ContentConfig: rest.ContentConfig{
			AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON,
			ContentType:        runtime.ContentTypeProtobuf,
		},
	}
	if o.Pair == nil {
		cfg.TLSClientConfig = rest.TLSClientConfig{ServerName: o.ServerName, CAData: o.CA, CertData: o.Cert, KeyData: o.Key}
	} else {
		transport, err := renewing(o, dialer)
		if err != nil {
			return nil, err
		}
		cfg.Transport = transport
	}
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return judge{dialer, o.Patient, rt} })
	cs, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make an API client: %w", err)
	}
	return &Client{Interface: cs, REST: cfg, dialer: dialer}, nil
}

// JSON is the REST configuration for kinds without protobuf (custom resources,
// the dynamic client).
func (c *Client) JSON() *rest.Config {
	cfg := rest.CopyConfig(c.REST)
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return cfg
}

// TrackMasters keeps the dialer's list of masters as the EndpointSlice of the
// kubernetes Service has it, until ctx is done. A slice with no ready address
// changes nothing: a stale list is better than none.
func (c *Client) TrackMasters(ctx context.Context) {
	lw := cache.NewListWatchFromClient(c.DiscoveryV1().RESTClient(), "endpointslices", metav1.NamespaceDefault,
		fields.OneTermEqualSelector("metadata.name", "kubernetes"))
	update := func(obj any) {
		if s, ok := obj.(*discoveryv1.EndpointSlice); ok {
			c.setMasters(s)
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: lw, ObjectType: &discoveryv1.EndpointSlice{}, ResyncPeriod: 10 * time.Minute,
		Handler: cache.ResourceEventHandlerFuncs{AddFunc: update, UpdateFunc: func(_, obj any) { update(obj) }},
	})
	informer.RunWithContext(ctx)
}

func (c *Client) setMasters(s *discoveryv1.EndpointSlice) {
	if masters := addresses(s); len(masters) > 0 {
		c.dialer.SetServers(masters)
	}
}

// addresses are those of a slice's ready endpoints, as host:port.
func addresses(s *discoveryv1.EndpointSlice) []string {
	var out []string
	for _, port := range s.Ports {
		if port.Port == nil {
			continue
		}
		for _, ep := range s.Endpoints {
			if ep.Conditions.Ready != nil && !*ep.Conditions.Ready {
				continue
			}
			for _, a := range ep.Addresses {
				out = append(out, net.JoinHostPort(a, fmt.Sprint(*port.Port)))
			}
		}
	}
	return out
}
