package dns

import (
	"context"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	"github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loop"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/miekg/dns"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Our directives take the place of CoreDNS's own: kubernetes with our
// client, which knows all masters; metrics without a listener of their own, since
// the process serves them; and an end for names that nobody knows.
const (
	kubernetesDirective = "gantry_kubernetes"
	metricsDirective    = "gantry_metrics"
	nowhereDirective    = "gantry_nxdomain"
)

// register makes the directives known to CoreDNS, whose registry is global, as is that
// it prints nothing of its own.
func register(cfg *rest.Config) {
	caddy.Quiet, dnsserver.Quiet = true, true
	dnsserver.Directives = []string{"bind", metricsDirective, "errors", "loop", "cache", kubernetesDirective, "forward", nowhereDirective}
	plugin.Register(kubernetesDirective, func(c *caddy.Controller) error { return setupKubernetes(c, cfg) })
	plugin.Register(metricsDirective, setupMetrics)
	plugin.Register(nowhereDirective, setupNowhere)
}

func setupKubernetes(c *caddy.Controller, cfg *rest.Config) error {
	c.Next() // the directive's name
	k, err := kubernetes.ParseStanza(c)
	if err != nil {
		return plugin.Error(kubernetesDirective, err)
	}
	k.ClientConfig = restConfig{cfg}
	onStart, onStop, err := k.InitKubeCache(context.Background()) // ended by onStop
	if err != nil {
		return plugin.Error(kubernetesDirective, err)
	}
	c.OnStartup(onStart)
	c.OnShutdown(onStop)
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		k.Next = next
		return k
	})
	return nil
}

func setupMetrics(c *caddy.Controller) error {
	m := metrics.New("")
	for _, zone := range plugin.OriginsFromArgsOrServerBlock(nil, c.ServerBlockKeys) {
		m.AddZone(zone)
	}
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		m.Next = next
		return m
	})
	return nil
}

// setupNowhere ends the chain: the name does not exist.
func setupNowhere(c *caddy.Controller) error {
	dnsserver.GetConfig(c).AddPlugin(func(plugin.Handler) plugin.Handler {
		return plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
			m := new(dns.Msg).SetRcode(r, dns.RcodeNameError)
			return dns.RcodeNameError, w.WriteMsg(m)
		})
	})
	return nil
}

// restConfig hands a finished REST configuration to CoreDNS, which wants a
// kubeconfig loader.
type restConfig struct{ cfg *rest.Config }

func (r restConfig) RawConfig() (clientcmdapi.Config, error) { return clientcmdapi.Config{}, nil }
func (r restConfig) ClientConfig() (*rest.Config, error)     { return rest.CopyConfig(r.cfg), nil }
func (r restConfig) Namespace() (string, bool, error)        { return "default", false, nil }
func (r restConfig) ConfigAccess() clientcmd.ConfigAccess    { return nil }
