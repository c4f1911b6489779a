package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/gantry-run/gantry/runtime/access"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/keypair"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// shutdownTimeout is how long requests may go on when the server ends.
const shutdownTimeout = time.Second

// Pods are those of this node.
type Pods interface {
	Synced() bool
	Pods() []*corev1.Pod
	Pod(namespace, name string) *corev1.Pod
}

// Runtime keeps containers.
type Runtime interface {
	// List returns the containers of the pod.
	List(ctx context.Context, uid string) ([]container.Container, error)
	// Exec runs a command beside the container's first process.
	Exec(ctx context.Context, id string, cmd []string, s container.Streams) (exitCode int, err error)
	// Attach joins the streams of the container's first process until ctx is done,
	// the container ends or the client goes.
	Attach(ctx context.Context, id string, s container.Streams) error
}

// Workers run the pods.
type Workers interface {
	// Running reports whether a container of a pod is known to run.
	Running(uid, id string) bool
	// Dial connects to a port of a pod as a process in it would.
	Dial(ctx context.Context, uid string, port int32) (net.Conn, error)
}

// Config of a Server.
type Config struct {
	Address      string // host:port
	NodeName     string
	Serving      config.KeyPair
	ClientCAFile string
	// Reviews tell who clients with tokens are, and what clients may do.
	Reviews access.Reviews
	// Ready is why the kubelet is not ready.
	Ready   func() error
	Pods    Pods
	Runtime Runtime
	Workers Workers
	Stats   Stats
	// ServerLogs is the directory of the server's own logs.
	ServerLogs string
	Log        *slog.Logger
}

// Server serves until its Run ends.
type Server struct {
	cfg   Config
	guard guard
	http  *http.Server
	ln    net.Listener
}

// guard lets through what clients may do.
type guard interface {
	Protect(h http.Handler, rule access.Rule) http.Handler
}

// Listen makes a server that listens: its clients wait for Run.
func Listen(cfg Config) (*Server, error) {
	tlsConfig, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg}
	if s.guard, err = access.NewGuard(access.Config{
		ClientCAs: tlsConfig.ClientCAs, API: cfg.Reviews, Own: []string{config.NodeUserPrefix + cfg.NodeName}, Log: cfg.Log,
	}); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, TLSConfig: tlsConfig,
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		// Sessions are upgraded connections, which HTTP/2 does not have.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	if s.ln, err = net.Listen("tcp", cfg.Address); err != nil {
		return nil, fmt.Errorf("listen for logs and sessions: %w", err)
	}
	return s, nil
}

func (c *Config) tls() (*tls.Config, error) {
	serving, err := keypair.Load(c.Serving)
	if err != nil {
		return nil, fmt.Errorf("load the serving certificate: %w", err)
	}
	pem, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("read the client CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client CA %s holds no certificate", c.ClientCAFile)
	}
	// A client may have a token instead of a certificate: the guard verifies both.
	return &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: serving.GetCertificate,
		ClientAuth: tls.RequestClientCert, ClientCAs: pool, NextProtos: []string{"http/1.1"},
	}, nil
}

// Run serves until ctx is done. Sessions end with it.
func (s *Server) Run(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.http.ServeTLS(s.ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Log.Error("logs and sessions are no longer served", "error", err)
		}
	}()
	<-ctx.Done()
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(sctx); err != nil {
		err = s.http.Close()
		s.cfg.Log.Debug("sessions were ended", "error", err)
	}
	<-done
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }
	mux.HandleFunc("/healthz", ok)
	mux.HandleFunc("/livez", ok)
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.cfg.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		ok(w, r)
	})
	mux.Handle("/metrics", legacyregistry.Handler())
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /stats/summary":    s.serveSummary,
		"GET /metrics/resource": s.resourceMetrics(),
		"GET /metrics/cadvisor": s.containerMetrics(),
		"GET /pods":             s.servePods,
		"GET /pods/":            s.servePods,
		"GET /containerLogs/{namespace}/{pod}/{container}": s.serveLogs,
		"/exec/{namespace}/{pod}/{container}":              s.serveExec,
		"/attach/{namespace}/{pod}/{container}":            s.serveAttach,
		"/portForward/{namespace}/{pod}":                   s.servePortForward,
	} {
		mux.HandleFunc(pattern, h)
	}
	mux.Handle("GET /logs/", http.StripPrefix("/logs/", serverLogs(s.cfg.ServerLogs)))
	mux.Handle("GET /logs", http.RedirectHandler("/logs/", http.StatusMovedPermanently))
	// The guard is around the whole, so that no path is forgotten.
	return s.guard.Protect(mux, rule(s.cfg.NodeName))
}

func (s *Server) servePods(w http.ResponseWriter, _ *http.Request) {
	if !s.cfg.Pods.Synced() {
		http.Error(w, errNotSynced.Error(), http.StatusServiceUnavailable)
		return
	}
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	for _, p := range s.cfg.Pods.Pods() {
		list.Items = append(list.Items, *p)
	}
	body, err := json.Marshal(list)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(body); err != nil {
		s.cfg.Log.Debug("a client went while the pods were sent", "error", err)
	}
}
