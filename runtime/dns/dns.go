package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/coredns/caddy"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process/readiness"
)

// probePeriod is how often the server asks itself for the kubernetes Service.
const probePeriod = 500 * time.Millisecond

// Server answers the cluster's names on the cluster DNS address of this node.
type Server struct {
	cfg    config.DNSConfig
	client *client.Client
	log    *slog.Logger
	// Status is ready while the server answers for the kubernetes Service.
	*readiness.Status
}

// New returns a server. It touches neither the API nor the network.
func New(cfg config.DNSConfig, c *client.Client, log *slog.Logger) *Server {
	return &Server{cfg: cfg, client: c, log: log, Status: readiness.NotReady("starting")}
}

// Run serves until ctx is done, on an address that the node has (see [Prepare]).
// CoreDNS keeps its configuration in globals, so a process runs one server.
func (s *Server) Run(ctx context.Context) error {
	go s.client.TrackMasters(ctx)
	clog.SetOutput(os.Stderr)
	if err := clog.Configure("json", os.Stderr); err != nil {
		return err
	}
	rest := rest.CopyConfig(s.client.REST)
	register(rest)
	corefile := Corefile(s.cfg, s.upstreams(resolvedFile))
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: []byte(corefile), Filepath: "generated", ServerTypeName: "dns"})
	if err != nil {
		return fmt.Errorf("start CoreDNS on %s: %w", s.cfg.Addresses, err)
	}
	s.probe(ctx, s.lookup)
	for _, err := range instance.ShutdownCallbacks() {
		s.log.Warn("CoreDNS did not end cleanly", "error", err)
	}
	return instance.Stop()
}

// resolvedFile is where systemd-resolved, where it runs, names the servers that it asks.
const resolvedFile = "/run/systemd/resolve/resolv.conf"

// upstreams warns where none is left of those that the server was to have: pods then look up
// no name outside the cluster.
func (s *Server) upstreams(resolved string) []string {
	out, dropped := Upstreams(s.cfg.Upstreams, resolved, s.cfg.Addresses)
	if len(out) == 0 && len(dropped) > 0 {
		s.log.Warn("names outside the cluster are not answered: every resolver of this server leads back to cluster DNS. Give the server a resolver beside it",
			"dropped", dropped, "own", s.cfg.Addresses.Strings())
	}
	return out
}

// lookup asks this server for the kubernetes Service.
func (s *Server) lookup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(s.cfg.Addresses.First().String(), "53"))
	}}
	name := "kubernetes.default.svc." + s.cfg.Domain + "."
	if _, err := resolver.LookupHost(ctx, name); err != nil {
		return fmt.Errorf("%s is not answered: %w", name, err)
	}
	return nil
}

// probe keeps the readiness until ctx is done.
func (s *Server) probe(ctx context.Context, lookup func(context.Context) error) {
	period := 20 * time.Millisecond
	for {
		err := lookup(ctx)
		s.Set(err)
		if err == nil {
			period = 10 * probePeriod
		} else {
			period = min(2*period, probePeriod)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(period):
		}
	}
}
