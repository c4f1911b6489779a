package filters

import (
	"net/http"
	"net/http/httptest"
	runtimepkg "runtime"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
)

func codecs() serializer.CodecFactory {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	return serializer.NewCodecFactory(scheme)
}

func lasting(_ *http.Request, info *request.RequestInfo) bool {
	return info.Verb == "watch" || info.Subresource == "exec"
}

// as is a request of a user.
func as(who *user.DefaultInfo, info request.RequestInfo) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/pods", nil)
	return r.WithContext(request.WithUser(request.WithRequestInfo(r.Context(), &info), who))
}

func TestNoUserHoldsAllWatches(t *testing.T) {
	release := make(chan struct{})
	begun := make(chan struct{}, 100)
	h := WithPerUser(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-release
	}), PerUser{Watches: 2, Streams: 1}, lasting, codecs())
	watch, exec, get := request.RequestInfo{Verb: "watch", APIVersion: "v1"}, request.RequestInfo{Verb: "create", Subresource: "exec", APIVersion: "v1"}, request.RequestInfo{Verb: "get", APIVersion: "v1"}
	alice, admin := &user.DefaultInfo{Name: "alice"}, &user.DefaultInfo{Name: "root", Groups: []string{"x", user.SystemPrivilegedGroup}}
	one, other, elsewhere := &user.DefaultInfo{Name: "system:serviceaccount:a:x"}, &user.DefaultInfo{Name: "system:serviceaccount:a:y"}, &user.DefaultInfo{Name: "system:serviceaccount:b:x"}

	served := func(what string, who *user.DefaultInfo, info request.RequestInfo) {
		t.Helper()
		done := make(chan int, 1)
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, as(who, info))
			done <- w.Code
		}()
		select {
		case <-begun:
		case code := <-done:
			t.Errorf("%s: answered %d", what, code)
		}
	}
	refused := func(what, says string, who *user.DefaultInfo, info request.RequestInfo) {
		t.Helper()
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() { defer close(done); h.ServeHTTP(w, as(who, info)) }()
		select {
		case <-begun:
			t.Errorf("%s: served", what)
		case <-done:
			if w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), says) || w.Header().Get("Retry-After") != "1" {
				t.Errorf("%s: answered %d, %q, %s", what, w.Code, w.Header(), w.Body)
			}
		}
	}
	served("the first watch", alice, watch)
	served("the second watch", alice, watch)
	refused("the third watch", "alice has 2 watches, which is the limit", alice, watch)
	served("another's watch", one, watch)
	served("that of another account", other, watch)
	refused("a third account's in the namespace", "system:serviceaccounts:a has 2 watches", one, watch)
	served("one of another namespace", elsewhere, watch)
	served("a stream beside watches", alice, exec)
	refused("the second stream", "alice has 1 streams", alice, exec)
	for _, id := range []string{"X509SHA256=aa", "X509SHA256=bb"} {
		proxy := &user.DefaultInfo{Name: "system:kube-proxy", Extra: map[string][]string{user.CredentialIDKey: {id}}}
		served("a node's proxy", proxy, exec)
		refused("its second stream", "system:kube-proxy with certificate "+id, proxy, exec)
	}
	for i, id := range []string{"X509SHA256=cc", "X509SHA256=dd"} {
		kubelet := &user.DefaultInfo{Name: "system:node:a", Groups: []string{user.NodesGroup}, Extra: map[string][]string{user.CredentialIDKey: {id}}}
		if i == 0 {
			served("a kubelet's stream", kubelet, exec)
			continue
		}
		refused("one with its next certificate", "system:node:a has 1 streams", kubelet, exec)
	}
	served("what does not last", alice, get)
	for range 4 {
		served("an administrator's", admin, watch)
	}
	close(release)
	for range 200 { // those that were served leave
		runtimepkg.Gosched()
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, as(alice, watch)); w.Code == http.StatusOK {
			return
		}
	}
	t.Error("a place that was left is not free")
}

func TestNothingIsKeptOfWhoLeft(t *testing.T) {
	h := newHolders(2)
	for i, want := range []bool{true, true, false} {
		if got := h.take("a"); got != want {
			t.Errorf("place %d: %v, want %v", i+1, got, want)
		}
	}
	if !h.take("b") {
		t.Error("another user has no place")
	}
	h.leave("a")
	h.leave("a")
	h.leave("b")
	if len(h.held) != 0 {
		t.Errorf("%v are kept", h.held)
	}
	unbounded := newHolders(0)
	for range 10 {
		if !unbounded.take("a") {
			t.Fatal("no limit limits")
		}
	}
	if unbounded.leave("a"); len(unbounded.held) != 0 {
		t.Errorf("%v are kept", unbounded.held)
	}
}
