package process

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/gantry-run/gantry/runtime/access"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/keypair"
)

// HealthHandler serves /healthz (the process answers), /readyz (it does its
// work) and /metrics (Prometheus text).
func HealthHandler(r Runner) http.Handler {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }
	mux.HandleFunc("/healthz", ok)
	mux.HandleFunc("/livez", ok)
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, req *http.Request) {
		if err := r.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		ok(w, req)
	})
	mux.Handle("/metrics", metricsHandler())
	return mux
}

// metricsHandler serves what the Kubernetes libraries register and what the
// others (etcd, CoreDNS) do. Both registries come with the same collectors of
// the Go runtime and the process; one set of them is enough.
func metricsHandler() http.Handler {
	prometheus.Unregister(collectors.NewGoCollector())
	prometheus.Unregister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	all := prometheus.Gatherers{legacyregistry.DefaultGatherer, prometheus.DefaultGatherer}
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

func handler(h config.Health, r Runner) http.Handler {
	if h.Profile {
		return withProfiles(HealthHandler(r))
	}
	return HealthHandler(r)
}

// withProfiles adds Go's profiles (CPU, heap, goroutines …).
func withProfiles(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// Health is the health address of a process, and where it asks about its clients.
type Health struct {
	config.Health
	Reviews access.Reviews
}

// rule is upstream's: a client that is known may see whether the process is well; the
// rest takes the verb on the path (nonResourceURLs of RBAC).
func rule(r *http.Request) []access.Attributes {
	switch r.URL.Path {
	case "/healthz", "/livez", "/readyz":
		return nil
	}
	return []access.Attributes{{Verb: strings.ToLower(r.Method), Path: r.URL.Path}}
}

// guarded puts the guard around the handler.
func guarded(h Health, clientCAs *x509.CertPool, handler http.Handler, log *slog.Logger) (http.Handler, error) {
	own, err := nodeOf(h.KeyPair)
	if err != nil {
		return nil, err
	}
	g, err := access.NewGuard(access.Config{ClientCAs: clientCAs, API: h.Reviews, Own: own, Log: log})
	if err != nil {
		return nil, err
	}
	return g.Protect(handler, rule), nil
}

// nodeOf is the user of the node that a process runs on, which its certificate names. It
// may see everything of the process: it holds it.
func nodeOf(pair config.KeyPair) ([]string, error) {
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load the serving certificate: %w", err)
	}
	var users []string
	for _, name := range cert.Leaf.DNSNames {
		if name != "localhost" { // every certificate has it
			users = append(users, config.NodeUserPrefix+name)
		}
	}
	return users, nil
}

// serveHealth listens before it returns, so that a port in use fails the start.
func serveHealth(h Health, r Runner, log *slog.Logger) (shutdown func(), err error) {
	tlsConfig, err := serverTLS(h.KeyPair, h.ClientCAFile)
	if err != nil {
		return nil, err
	}
	guarded, err := guarded(h, tlsConfig.ClientCAs, handler(h.Health, r), log)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", h.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on the health address: %w", err)
	}
	srv := &http.Server{
		Handler: guarded, TLSConfig: tlsConfig, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := srv.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health address is no longer served", "error", err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		srv.Shutdown(ctx) //nolint:errcheck // the process ends
	}, nil
}

// serverTLS is the TLS configuration of a server that asks clients for a certificate
// that clientCAFile signed. They may have a token instead: the guard verifies
// both. Its own certificate may be replaced while it serves.
func serverTLS(pair config.KeyPair, clientCAFile string) (*tls.Config, error) {
	serving, err := keypair.Load(pair)
	if err != nil {
		return nil, fmt.Errorf("load the serving certificate: %w", err)
	}
	pem, err := os.ReadFile(clientCAFile)
	if err != nil {
		return nil, fmt.Errorf("read the client CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client CA %s holds no certificate", clientCAFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: serving.GetCertificate,
		ClientAuth: tls.RequestClientCert, ClientCAs: pool,
	}, nil
}
