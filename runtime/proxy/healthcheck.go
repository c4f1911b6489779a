package proxy

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/addr"
)

// HealthCheck is what a load balancer learns of a Service on this node: whether it
// has endpoints here, and so whether connections may be sent here
// (https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer).
type HealthCheck struct {
	Port uint16
	// LocalEndpoints are the ready ones on this node.
	LocalEndpoints int
}

// healthCheckTimeout bounds a request: a load balancer's is one short line.
const healthCheckTimeout = 5 * time.Second

// healthChecks serves them, each on the node's addresses. It is used by one goroutine.
type healthChecks struct {
	ips     addr.IPs
	listen  func(network, address string) (net.Listener, error)
	healthy func() error // whether the node's rules are in force
	log     *slog.Logger
	servers map[types.NamespacedName]*healthServer
}

func newHealthChecks(ips addr.IPs, healthy func() error, log *slog.Logger) *healthChecks {
	return &healthChecks{ips: ips, listen: net.Listen, healthy: healthy, log: log, servers: map[types.NamespacedName]*healthServer{}}
}

// set serves what load balancers ask of a Service; nil ends it. A port that cannot be
// had is told, and tried again with the Service's next change.
func (h *healthChecks) set(name types.NamespacedName, check *HealthCheck) {
	have := h.servers[name]
	if have != nil && (check == nil || have.port != check.Port) {
		have.close()
		delete(h.servers, name)
		have = nil
	}
	if check == nil {
		return
	}
	if have == nil {
		have = &healthServer{name: name, port: check.Port, healthy: h.healthy}
		if err := have.start(h.ips, h.listen); err != nil {
			h.log.Error("cannot serve a Service's healthCheckNodePort; load balancers will take this node for one without endpoints",
				"service", name.String(), "port", check.Port, "error", err)
			return
		}
		h.servers[name] = have
	}
	have.endpoints.Store(int64(check.LocalEndpoints))
}

func (h *healthChecks) close() {
	for name, s := range h.servers {
		s.close()
		delete(h.servers, name)
	}
}

// healthServer answers for one Service.
type healthServer struct {
	name      types.NamespacedName
	port      uint16
	healthy   func() error
	endpoints atomic.Int64
	servers   []*http.Server
}

func (s *healthServer) start(ips addr.IPs, listen func(network, address string) (net.Listener, error)) error {
	var listeners []net.Listener
	for _, ip := range ips {
		l, err := listen("tcp", netip.AddrPortFrom(ip, s.port).String())
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return err
		}
		listeners = append(listeners, l)
	}
	for _, l := range listeners {
		server := &http.Server{Handler: s, ReadTimeout: healthCheckTimeout, WriteTimeout: healthCheckTimeout, IdleTimeout: healthCheckTimeout, MaxHeaderBytes: 4 << 10}
		s.servers = append(s.servers, server)
		go server.Serve(l) //nolint:errcheck // it ends when it is closed
	}
	return nil
}

func (s *healthServer) close() {
	for _, server := range s.servers {
		server.Close() // what is lost is a health check
	}
}

// ServeHTTP answers any path, as load balancers are configured in many ways: 200 where
// connections may be sent here, 503 where not.
func (s *healthServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	count, healthy := s.endpoints.Load(), s.healthy() == nil
	status := http.StatusOK
	if count == 0 || !healthy {
		status = http.StatusServiceUnavailable
	}
	type service struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Load-Balancing-Endpoint-Weight", strconv.FormatInt(count, 10))
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(struct { //nolint:errcheck // the client has gone
		Service      service `json:"service"`
		Endpoints    int64   `json:"localEndpoints"`
		ProxyHealthy bool    `json:"serviceProxyHealthy"`
	}{service{s.name.Namespace, s.name.Name}, count, healthy})
}
