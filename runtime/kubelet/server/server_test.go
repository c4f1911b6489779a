package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/access"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podlog"
)

// node is what the server looks at: one pod, ns/p, with containers a and b.
type node struct {
	synced     bool
	pod        *corev1.Pod
	containers []container.Container
	err        error
	ready      error
}

func (n *node) Synced() bool        { return n.synced }
func (n *node) Pods() []*corev1.Pod { return []*corev1.Pod{n.pod} }
func (n *node) Pod(namespace, name string) *corev1.Pod {
	if namespace == "ns" && name == "p" {
		return n.pod
	}
	return nil
}

func (n *node) List(_ context.Context, uid string) ([]container.Container, error) {
	if uid != "u" {
		return nil, errors.New("another pod")
	}
	return append([]container.Container(nil), n.containers...), n.err
}

func (n *node) Exec(context.Context, string, []string, container.Streams) (int, error) { return 0, nil }
func (n *node) Summary(_ context.Context, only bool) (*statsapi.Summary, error) {
	cpu := uint64(1e9)
	s := &statsapi.Summary{Node: statsapi.NodeStats{NodeName: "n", CPU: &statsapi.CPUStats{UsageCoreNanoSeconds: &cpu}}}
	if !only {
		s.Node.Fs = &statsapi.FsStats{}
	}
	return s, n.err
}

func (n *node) Attach(context.Context, string, container.Streams) error { return nil }
func (n *node) Running(string, string) bool                             { return false }
func (n *node) Dial(context.Context, string, int32) (net.Conn, error) {
	return nil, errors.New("no network")
}

func newServer(t *testing.T) (*Server, *node) {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}, {Name: "b"}}}}
	p.Name, p.Namespace, p.UID = "p", "ns", "u"
	n := &node{synced: true, pod: p}
	everything := grants{"admin": {"* *"}, config.APIServerKubeletUser: {"* *"}, "prometheus": {"get metrics"}, "reader": {"get pods", "get healthz"}, "getter": {"get proxy"}}
	return &Server{guard: everything, cfg: Config{NodeName: "n", Pods: n, Runtime: n, Workers: n, Stats: n, Ready: func() error { return n.ready }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}, n
}

// get asks as the holder of a certificate; "" has none.
func get(s *Server, path, user string, groups ...string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if user != "" {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: user, Organization: groups}}}}
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

// grants are the verbs and subresources of node n that users have.
type grants map[string][]string

func (g grants) Protect(h http.Handler, rule access.Rule) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		has := g[r.TLS.PeerCertificates[0].Subject.CommonName]
		for _, need := range rule(r) {
			if need.Node == "n" && (slices.Contains(has, "* *") || slices.Contains(has, need.Verb+" "+need.Subresource)) {
				h.ServeHTTP(w, r)
				return
			}
		}
		http.Error(w, "no", http.StatusForbidden)
	})
}

func TestWhatARequestNeeds(t *testing.T) {
	for request, want := range map[string]string{
		"GET /metrics": "get metrics", "GET /metrics/cadvisor": "get metrics", "GET /metricsx": "get proxy",
		"GET /stats/summary": "get stats", "GET /logs/": "get log", "POST /checkpoint/ns/p/c": "create checkpoint",
		"GET /statusz": "get statusz", "GET /flagz": "get configz", "GET /configz": "get configz,get proxy",
		"GET /pods": "get pods,get proxy", "HEAD /pods/": "get pods,get proxy", "GET /runningpods/": "get pods,get proxy",
		"GET /healthz": "get healthz,get proxy", "GET /livez": "get healthz,get proxy", "GET /readyz": "get healthz,get proxy", "GET /healthz/syncloop": "get healthz,get proxy",
		"GET /containerLogs/ns/p/a": "get proxy", "GET /": "get proxy", "PUT /x": "update proxy", "PATCH /x": "patch proxy", "DELETE /x": "delete proxy",
		// A session is made, whatever the method.
		"GET /exec/ns/p/a": "create proxy", "POST /exec/ns/p/a": "create proxy", "GET /attach/ns/p/a": "create proxy",
		"GET /portForward/ns/p": "create proxy", "GET /run/ns/p/a": "create proxy", "GET /executions": "get proxy",
	} {
		method, path, _ := strings.Cut(request, " ")
		var got []string
		for _, a := range rule("n")(httptest.NewRequest(method, path, nil)) {
			if a.Node != "n" || a.Path != path {
				t.Errorf("%s is asked of %+v", request, a)
			}
			got = append(got, a.Verb+" "+a.Subresource)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s needs %q, want %q", request, got, want)
		}
	}
}

func TestWhoMayLookIntoPods(t *testing.T) {
	s, n := newServer(t)
	for _, c := range []struct {
		path, user string
		want       int
	}{
		{"/healthz", "", 401}, {"/metrics", "", 401}, {"/nothing", "", 401},
		{"/healthz", "reader", 200}, {"/livez", "reader", 200}, {"/readyz", "reader", 200}, {"/healthz", "prometheus", 403},
		{"/metrics", "prometheus", 200}, {"/metrics", "reader", 403}, {"/metrics", "system:node:x", 403},
		{"/pods", config.APIServerKubeletUser, 200}, {"/pods/", "admin", 200}, {"/pods", "reader", 200}, {"/pods", "getter", 200},
		{"/pods", "system:node:x", 403}, {"/pods", "prometheus", 403}, {"/containerLogs/ns/p/a", "reader", 403},
		{"/exec/ns/p/a", "getter", 403}, {"/attach/ns/p/a", "getter", 403}, {"/portForward/ns/p", "getter", 403}, {"/exec/ns/p/a", "system:node:x", 403},
		{"/exec/ns/p/a", "admin", 400}, {"/portForward/ns/none", "admin", 404}, {"/nothing", "admin", 404},
	} {
		if got, body := get(s, c.path, c.user); got != c.want {
			t.Errorf("%s as %q: %d %s, want %d", c.path, c.user, got, body, c.want)
		}
	}
	n.ready = errors.New("not registered")
	if got, body := get(s, "/readyz", "reader"); got != 503 || body != "not registered" {
		t.Errorf("while it is not ready: %d %s", got, body)
	}
	if _, body := get(s, "/pods", config.APIServerKubeletUser); !strings.Contains(body, `"kind":"PodList"`) || !strings.Contains(body, `"name":"p"`) {
		t.Errorf("the pods are %s", body)
	}
	n.synced = false
	for path, want := range map[string]int{"/pods": 503, "/containerLogs/ns/p/a": 400, "/portForward/ns/p": 404} {
		if got, body := get(s, path, config.APIServerKubeletUser); got != want || body != errNotSynced.Error() {
			t.Errorf("%s before the pods are known: %d %s", path, got, body)
		}
	}
}

func TestPick(t *testing.T) {
	const runs, ended = container.StateRunning, container.StateExited
	c := func(name string, restarts int32, state container.State) container.Container {
		return container.Container{Name: name, Restarts: restarts, State: state}
	}
	waits := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}}}}
	over := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "b"}, {Name: "a", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}}}
	for _, x := range []struct {
		name     string
		pod      *corev1.Pod
		all      []container.Container
		previous bool
		want     string
	}{
		{"the newest", waits, []container.Container{c("a", 1, ended), c("b", 9, runs), c("a", 2, runs)}, false, "2"},
		{"the one before it", waits, []container.Container{c("a", 1, ended), c("b", 9, runs), c("a", 2, runs)}, true, "1"},
		{"of one that waits", waits, []container.Container{c("a", 2, ended), c("a", 1, ended)}, false, "2"},
		{"before one that waits", waits, []container.Container{c("a", 1, ended), c("a", 2, ended)}, true, "2"},
		{"before one that ended for good", over, []container.Container{c("a", 1, ended), c("a", 2, ended)}, true, "1"},
		{"none before", waits, []container.Container{c("a", 0, runs)}, true, "previous terminated container"},
		{"none", waits, []container.Container{c("b", 0, runs)}, false, "is waiting to start"},
		{"none at all", waits, nil, true, "previous terminated container"},
	} {
		got, err := pick(x.pod, "a", x.all, x.previous)
		text := fmt.Sprint(got.Restarts)
		if err != nil {
			text = err.Error()
		}
		if text != x.want && (err == nil || !strings.Contains(text, x.want)) {
			t.Errorf("%s: %s, want %s", x.name, text, x.want)
		}
	}
}

func TestLogs(t *testing.T) {
	s, n := newServer(t)
	path := filepath.Join(t.TempDir(), "0.log")
	lines := "2026-01-01T00:00:00.000000000Z stdout F one\n2026-01-01T00:00:01.000000000Z stderr F two\n2026-01-01T00:00:02.000000000Z stdout F three\n"
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	n.containers = []container.Container{{Name: "a", LogPath: path, State: container.StateExited}, {Name: "b", LogPath: path + ".none"}}
	for query, want := range map[string]string{
		"": "one\ntwo\nthree", "tailLines=1": "three", "follow=true": "one\ntwo\nthree", "stream=Stderr": "two", "stream=Stdout&tailLines=2": "three",
		"sinceTime=2026-01-01T00:00:01Z": "two\nthree", "limitBytes=3": "one", "timestamps=true&tailLines=1": "2026-01-01T00:00:02.000000000Z three",
	} {
		if code, got := get(s, "/containerLogs/ns/p/a?"+query, config.APIServerKubeletUser); code != 200 || got != want {
			t.Errorf("%q: %d %q, want %q", query, code, got, want)
		}
	}
	for path, want := range map[string]string{
		"/containerLogs/ns/p/c": `container "c" is not valid`, "/containerLogs/ns/q/a": "pod ns/q is not on this node", "/containerLogs/ns/p/a?tailLines=-1": "no number of at least 0",
		"/containerLogs/ns/p/a?sinceTime=then": "sinceTime",
	} {
		if code, got := get(s, path, config.APIServerKubeletUser); code != 400 || !strings.Contains(got, want) {
			t.Errorf("%s: %d %s, want %q", path, code, got, want)
		}
	}
	if code, _ := get(s, "/containerLogs/ns/p/b", config.APIServerKubeletUser); code != 500 {
		t.Errorf("a log that is not there: %d", code)
	}
	n.err = errors.New("away")
	if code, got := get(s, "/containerLogs/ns/p/a", config.APIServerKubeletUser); code != 400 || got != "away" {
		t.Errorf("while the runtime is away: %d %s", code, got)
	}
}

func TestLogOptions(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for query, want := range map[string]podlog.Options{
		"":                              {Tail: -1},
		"tailLines=0&limitBytes=9":      {Tail: 0, Limit: 9},
		"sinceSeconds=60&follow=true":   {Tail: -1, Follow: true, Since: now.Add(-time.Minute)},
		"sinceSeconds=0":                {Tail: -1, Since: now},
		"stream=All":                    {Tail: -1},
		"stream=Stdout&timestamps=true": {Tail: -1, Stream: "stdout", Timestamps: true},
	} {
		values := map[string]string{}
		for _, kv := range strings.Split(query, "&") {
			k, v, _ := strings.Cut(kv, "=")
			values[k] = v
		}
		got, err := logOptions(func(k string) string { return values[k] }, now)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", query, got, err, want)
		}
	}
}

// TestASessionNeedsARunningContainer.
func TestASessionNeedsARunningContainer(t *testing.T) {
	s, n := newServer(t)
	n.containers = []container.Container{{Name: "a", State: container.StateExited}}
	for path, want := range map[string]string{"/exec/ns/p/a?stdout=true&command=id": `container "a" does not run`, "/attach/ns/p/b?stdout=true": "is waiting to start"} {
		if code, got := get(s, path, config.APIServerKubeletUser); code != 404 || !strings.Contains(got, want) {
			t.Errorf("%s: %d %s", path, code, got)
		}
	}
}
