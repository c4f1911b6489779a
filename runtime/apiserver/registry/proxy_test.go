package registry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// responder fails the test when the proxy answers in place of its target.
type responder struct{ t *testing.T }

func (r responder) Object(code int, obj runtime.Object) { r.t.Errorf("%d %v", code, obj) }
func (r responder) Error(err error)                     { r.t.Error(err) }

// TestPathsOfProxies: what follows the subresource is the target's path. Who leaves it out
// is sent on to the root, and who changes something is not.
func TestPathsOfProxies(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			w.Header().Set("Location", "/there")
			w.WriteHeader(http.StatusFound)
			return
		}
		w.Header().Set("Was", r.Method+" "+r.URL.RequestURI())
		if r.URL.Path == "/page" {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte(`<a href="/other">x</a>`)) //nolint:errcheck // of a test
		}
	}))
	defer backend.Close()
	location, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPodProxy(nil, dialer{}, nil)
	p.target = func(context.Context, string) (*url.URL, http.RoundTripper, error) {
		l := *location
		return &l, http.DefaultTransport, nil
	}
	const base = "/api/v1/namespaces/n/pods/p/proxy"
	ask := func(method, path, query string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, base+path+query, nil)
		h, err := p.Connect(r.Context(), "p", &corev1.PodProxyOptions{Path: path}, responder{t})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, tt := range []struct{ method, path, query, was, location string }{
		{http.MethodGet, "", "?a=b", "", base + "/?a=b"},
		{http.MethodHead, "", "", "", base + "/"},
		{http.MethodPost, "", "?a=b", "POST /?a=b", ""},
		{http.MethodDelete, "", "", "DELETE /", ""},
		{http.MethodGet, "/", "", "GET /", ""},
		{http.MethodOptions, "/a/b", "", "OPTIONS /a/b", ""},
		{http.MethodPatch, "/a/b/", "?c", "PATCH /a/b/?c", ""},
		{http.MethodPut, "/a/../b", "", "PUT /b", ""},
		{http.MethodGet, "/moved", "", "", base + "/there"},
	} {
		w := ask(tt.method, tt.path, tt.query)
		if w.Header().Get("Was") != tt.was || !strings.HasSuffix(w.Header().Get("Location"), tt.location) || (w.Header().Get("Location") == "") != (tt.location == "") {
			t.Errorf("%s %q: %d %v", tt.method, tt.path+tt.query, w.Code, w.Header())
		}
	}
	if w := ask(http.MethodGet, "/page", ""); !strings.Contains(w.Body.String(), base+"/other") {
		t.Errorf("links of a page lead elsewhere: %s", w.Body)
	}
}
