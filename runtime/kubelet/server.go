package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/podlog"
)

// server serves health and metrics to whoever holds a certificate of the
// cluster, and pods, logs and sessions to the API server and administrators.
func (k *Kubelet) server() (*http.Server, error) {
	cert, err := tls.LoadX509KeyPair(k.cfg.Serving.CertFile, k.cfg.Serving.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load the serving certificate: %w", err)
	}
	pem, err := os.ReadFile(k.cfg.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("read the client CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client CA %s holds no certificate", k.cfg.ClientCAFile)
	}
	return &http.Server{
		Handler: k.handler(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(k.log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
			// Sessions are upgraded connections, which HTTP/2 does not have.
			NextProtos: []string{"http/1.1"},
		},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}, nil
}

func (k *Kubelet) handler() http.Handler {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }
	mux.HandleFunc("/healthz", ok)
	mux.HandleFunc("/livez", ok)
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := k.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		ok(w, r)
	})
	mux.Handle("/metrics", legacyregistry.Handler())
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /pods":  k.servePods,
		"GET /pods/": k.servePods,
		"GET /containerLogs/{namespace}/{pod}/{container}": k.serveLogs,
		"/exec/{namespace}/{pod}/{container}":              k.serveExec,
		"/attach/{namespace}/{pod}/{container}":            k.serveAttach,
		"/portForward/{namespace}/{pod}":                   k.servePortForward,
	} {
		mux.Handle(pattern, k.trusted(h))
	}
	return mux
}

// trusted admits the API server and administrators.
func (k *Kubelet) trusted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || !mayUsePods(r.TLS.PeerCertificates[0]) {
			http.Error(w, "this certificate may not look into pods", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func mayUsePods(c *x509.Certificate) bool {
	return c.Subject.CommonName == config.APIServerKubeletUser || slices.Contains(c.Subject.Organization, config.MastersGroup)
}

func (k *Kubelet) servePods(w http.ResponseWriter, _ *http.Request) {
	if k.pods == nil {
		http.Error(w, "the pods are not known yet", http.StatusServiceUnavailable)
		return
	}
	pods, err := k.pods.List(labels.Everything())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	for _, p := range pods {
		list.Items = append(list.Items, *p)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(list) //nolint:errcheck // the client went
}

// container finds a container that a request names; previous asks for the one
// before the newest.
func (k *Kubelet) container(r *http.Request, previous bool) (Container, error) {
	ns, name, container := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")
	if k.pods == nil {
		return Container{}, errors.New("the pods are not known yet")
	}
	pod, err := k.pods.Pods(ns).Get(name)
	if err != nil {
		return Container{}, fmt.Errorf("pod %s/%s is not on this node", ns, name)
	}
	if containerByName(pod, container) == nil {
		return Container{}, fmt.Errorf("container %q is not valid for pod %s/%s", container, ns, name)
	}
	// The runtime is asked, and not the worker: its memory is its own.
	all, err := k.runtime.List(r.Context(), string(pod.UID))
	if err != nil {
		return Container{}, err
	}
	all = slices.DeleteFunc(all, func(c Container) bool { return c.Name != container })
	slices.SortFunc(all, func(a, b Container) int { return int(b.Restarts - a.Restarts) })
	if previous && len(all) > 0 && (all[0].State == StateRunning || ended(pod, container)) {
		all = all[1:] // of one that waits to run again, the newest is the previous one
	}
	switch {
	case previous && len(all) == 0:
		return Container{}, fmt.Errorf("previous terminated container %q in pod %q not found", container, name)
	case len(all) == 0:
		return Container{}, fmt.Errorf("container %q in pod %q is waiting to start: ContainerCreating", container, name)
	}
	return all[0], nil
}

// ended says whether a container has ended for good, as the API was told.
func ended(pod *corev1.Pod, container string) bool {
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if s.Name == container {
			return s.State.Terminated != nil
		}
	}
	return false
}

func (k *Kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	o, err := logOptions(q.Get, k.now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, err := k.container(r, q.Get("previous") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if c.State == StateExited {
		o.Follow = false
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	ended := func() bool {
		worker := k.worker(c.Pod.UID)
		return worker == nil || !worker.isRunning(c.ID)
	}
	out := &flusher{w: w}
	if err := podlog.Read(r.Context(), c.LogPath, o, out, ended); err != nil && !out.wrote {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// flusher sends what was written when the reader pauses.
type flusher struct {
	w     http.ResponseWriter
	wrote bool
}

func (f *flusher) Write(b []byte) (int, error) { f.wrote = true; return f.w.Write(b) }
func (f *flusher) Flush() {
	http.NewResponseController(f.w).Flush() //nolint:errcheck // the next write fails too
}

// logOptions reads the parameters of a request for logs.
func logOptions(get func(string) string, now time.Time) (podlog.Options, error) {
	o := podlog.Options{Tail: -1, Follow: get("follow") == "true", Timestamps: get("timestamps") == "true"}
	number := func(name string, into *int64) error {
		v := get(name)
		if v == "" {
			return nil
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%s=%q is no number of at least 0", name, v)
		}
		*into = n
		return nil
	}
	seconds := int64(-1)
	if err := errors.Join(number("tailLines", &o.Tail), number("limitBytes", &o.Limit), number("sinceSeconds", &seconds)); err != nil {
		return o, err
	}
	if seconds >= 0 {
		o.Since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if v := get("sinceTime"); v != "" {
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return o, fmt.Errorf("sinceTime: %w", err)
		}
		o.Since = t
	}
	switch get("stream") {
	case "Stdout":
		o.Stream = "stdout"
	case "Stderr":
		o.Stream = "stderr"
	}
	return o, nil
}

// isRunning may be asked by any goroutine.
func (w *worker) isRunning(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.inbox {
		if c.ID == id && c.State == StateExited {
			return false
		}
	}
	return w.live[id]
}

// forward copies between a session's stream and a port of the pod.
func (k *Kubelet) forward(ctx context.Context, uid string, port int32, stream io.ReadWriteCloser) error {
	w := k.worker(uid)
	if w == nil {
		return errors.New("the pod has no address")
	}
	conn, err := w.dialPod(ctx, port)
	if err != nil {
		return fmt.Errorf("connect to port %d of the pod: %w", port, err)
	}
	defer conn.Close()
	done := make(chan struct{}, 2)
	go func() { io.Copy(conn, stream); conn.(*net.TCPConn).CloseWrite(); done <- struct{}{} }() //nolint:errcheck // either end may go
	go func() { io.Copy(stream, conn); done <- struct{}{} }()                                   //nolint:errcheck // either end may go
	select {
	case <-ctx.Done():
	case <-done:
		select {
		case <-done:
		case <-time.After(time.Second):
		}
	}
	return nil
}
