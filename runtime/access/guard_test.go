package access_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/access"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestVerb(t *testing.T) {
	for method, want := range map[string]string{"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "OPTIONS": "", "CONNECT": ""} {
		if got := access.Verb(method); got != want {
			t.Errorf("%s is %q, want %q", method, got, want)
		}
	}
}

// server serves "in" behind a guard, on node n. /known needs nothing, /metrics the
// metrics of the node, /pods its pods or the proxy to it, and the rest itself.
func server(t *testing.T, c *apitest.Cluster, reviews access.Reviews) *httptest.Server {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CA())
	g, err := access.NewGuard(access.Config{ClientCAs: pool, API: reviews, Own: []string{"system:node:n"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rule := func(r *http.Request) []access.Attributes {
		node := func(subresource string) access.Attributes {
			return access.Attributes{Verb: access.Verb(r.Method), Node: "n", Subresource: subresource, Path: r.URL.Path}
		}
		switch r.URL.Path {
		case "/known":
			return nil
		case "/metrics":
			return []access.Attributes{node("metrics")}
		case "/pods":
			return []access.Attributes{node("pods"), node("proxy")}
		}
		return []access.Attributes{{Verb: strings.ToLower(r.Method), Path: r.URL.Path}}
	}
	srv := httptest.NewUnstartedServer(g.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "in", r.Header.Get("Authorization"))
	}), rule))
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// client shows a certificate or a token, or nothing.
type client struct {
	cert  *tls.Certificate
	token string
}

func (c client) get(t *testing.T, url string) (int, string) {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test's own server; what is tested is how it knows its clients
	if c.cert != nil {
		cfg.Certificates = []tls.Certificate{*c.cert}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func certificate(t *testing.T, pair config.KeyPair) client {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return client{cert: &cert}
}

// account makes a service account with a role of these rules, and returns its token.
func account(t *testing.T, k kubernetes.Interface, name string, rules ...rbacv1.PolicyRule) client {
	t.Helper()
	ctx := t.Context()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := k.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	fail(err)
	_, err = k.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{})
	fail(err)
	_, err = k.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: name}},
	}, metav1.CreateOptions{})
	fail(err)
	token, err := k.CoreV1().ServiceAccounts("default").CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	fail(err)
	return client{token: token.Status.Token}
}

// counted counts the requests of a client.
func counted(t *testing.T, c *apitest.Cluster, user string, groups ...string) (kubernetes.Interface, *atomic.Int32) {
	t.Helper()
	cl := c.Client(user, groups...)
	n := &atomic.Int32{}
	cfg := rest.CopyConfig(cl.REST)
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) { n.Add(1); return rt.RoundTrip(r) })
	})
	return kubernetes.NewForConfigOrDie(cfg), n
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestWhoMayAsk: with the reviews of a real API server, asked as a node, as the proxy, as
// cluster DNS and as etcd, which all must be able to.
func TestWhoMayAsk(t *testing.T) {
	c := apitest.Start(t)
	k := c.Admin()
	if _, err := k.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil && !strings.Contains(err.Error(), "exists") {
		t.Fatal(err)
	}
	on := func(resource string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{resource}}
	}
	prometheus := account(t, k, "prometheus", on("nodes/metrics"), rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/figures"}})
	proxier, looker, nobody := account(t, k, "proxier", on("nodes/proxy")), account(t, k, "looker", on("nodes/pods")), account(t, k, "nobody")
	admin := certificate(t, c.Certificate("admin", config.MastersGroup))
	kubelets := certificate(t, c.Certificate(config.APIServerKubeletUser))
	own, other := certificate(t, c.Certificate("system:node:n", config.NodesGroup)), certificate(t, c.Certificate("system:node:x", config.NodesGroup))
	stranger := certificate(t, apitest.Start(t).Certificate("admin", config.MastersGroup))

	reviews, asked := counted(t, c, "system:node:n", config.NodesGroup)
	srv := server(t, c, reviews)
	var first client
	patience.Until(t, "the roles have reached the authorizer", func() bool {
		// A refusal of ours is remembered.
		first = account(t, k, fmt.Sprintf("first-%d", time.Now().UnixNano()), on("nodes/metrics"))
		code, _ := first.get(t, srv.URL+"/metrics")
		return code == http.StatusOK
	})
	for _, tc := range []struct {
		what string
		who  client
		path string
		code int
		body string
	}{
		{"nobody", client{}, "/known", 401, "Unauthorized"},
		{"a token that is none", client{token: "x"}, "/known", 401, "Unauthorized"},
		{"another authority's administrator", stranger, "/known", 401, "Unauthorized"},
		{"any account", nobody, "/known", 200, "in"},
		{"any account", nobody, "/metrics", 403, "Forbidden (user=system:serviceaccount:default:nobody, verb=get, resource=nodes, subresource(s)=[metrics])"},
		{"any account", nobody, "/figures", 403, "Forbidden (user=system:serviceaccount:default:nobody, verb=get, path=/figures)"},
		{"one for metrics", prometheus, "/metrics", 200, "in"},
		{"one for metrics", prometheus, "/figures", 200, "in"},
		{"one for metrics", prometheus, "/pods", 403, "Forbidden (user=system:serviceaccount:default:prometheus, verb=get, resource=nodes, subresource(s)=[pods proxy])"},
		{"one for pods", looker, "/pods", 200, "in"},
		{"one for the proxy", proxier, "/pods", 200, "in"},
		{"one for the proxy", proxier, "/metrics", 403, ""},
		{"an administrator", admin, "/other", 200, "in"},
		{"the API server", kubelets, "/metrics", 200, "in"},
		{"the node itself", own, "/metrics", 200, "in"},
		{"another node", other, "/known", 200, "in"},
		{"another node", other, "/metrics", 403, ""},
		{"another node", other, "/pods", 403, ""},
		{"another node", other, "/figures", 403, ""},
	} {
		if code, body := tc.who.get(t, srv.URL+tc.path); code != tc.code || (tc.body != "" && body != tc.body) {
			t.Errorf("%s asks for %s: %d %q, want %d %q", tc.what, tc.path, code, body, tc.code, tc.body)
		}
	}
	before := asked.Load()
	for range 3 {
		if code, _ := prometheus.get(t, srv.URL+"/metrics"); code != 200 {
			t.Errorf("asked again: %d", code)
		}
	}
	if n := asked.Load() - before; n != 0 {
		t.Errorf("%d reviews of what is known", n)
	}
	client{token: "y"}.get(t, srv.URL+"/known")
	client{token: "y"}.get(t, srv.URL+"/known")
	if n := asked.Load() - before; n < 2 {
		t.Errorf("a refused token is remembered: %d reviews of two", n)
	}
	for _, user := range []string{config.ProxyUser, config.DNSUser, config.SchedulerUser, config.ControllerManagerUser, config.EtcdHealthUser} {
		srv := server(t, c, c.Client(user))
		if code, body := prometheus.get(t, srv.URL+"/figures"); code != 200 {
			t.Errorf("%s reviews: %d %s", user, code, body)
		}
	}
}

// TestWithoutTheAPI: who is known here is answered; the rest is not let in.
func TestWithoutTheAPI(t *testing.T) {
	c := apitest.Start(t)
	away := kubernetes.NewForConfigOrDie(&rest.Config{Host: "https://127.0.0.1:1"})
	srv := server(t, c, away)
	for _, tc := range []struct {
		what string
		who  client
		path string
		code int
	}{
		{"the node itself", certificate(t, c.Certificate("system:node:n", config.NodesGroup)), "/metrics", 200},
		{"an administrator", certificate(t, c.Certificate("admin", config.MastersGroup)), "/metrics", 200},
		{"somebody", certificate(t, c.Certificate("somebody")), "/known", 200},
		{"somebody", certificate(t, c.Certificate("somebody")), "/metrics", 500},
		{"a token", client{token: "x"}, "/known", 401},
	} {
		if code, body := tc.who.get(t, srv.URL+tc.path); code != tc.code {
			t.Errorf("%s asks for %s: %d %s, want %d", tc.what, tc.path, code, body, tc.code)
		}
	}
}
