package filters

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// answer is what h answers.
func answer(h http.Handler, method, target, contentType string, info request.RequestInfo) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader("{}"))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(request.WithRequestInfo(r.Context(), &info)))
	return w
}

func TestAVersionToWatchFromIsANumber(t *testing.T) {
	h := WithWatchVersion(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), codecs())
	watch, list := request.RequestInfo{Verb: "watch", APIVersion: "v1"}, request.RequestInfo{Verb: "list", APIVersion: "v1"}
	for query, want := range map[string]int{
		"": 200, "resourceVersion=": 200, "resourceVersion=0": 200, "resourceVersion=18446744073709551615": 200,
		"resourceVersion=18446744073709551616": 400, "resourceVersion=-1": 400, "resourceVersion=x": 400,
	} {
		if w := answer(h, http.MethodGet, "/?"+query, "", watch); w.Code != want {
			t.Errorf("%s: %d, %s", query, w.Code, w.Body)
		}
		if w := answer(h, http.MethodGet, "/?"+query, "", list); w.Code != http.StatusOK {
			t.Errorf("a list with %s: %d", query, w.Code)
		}
	}
}

func TestCustomResourcesAreNotWrittenInProtobuf(t *testing.T) {
	h := WithoutProtobuf(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "apiextensions.k8s.io", codecs())
	custom := request.RequestInfo{IsResourceRequest: true, APIGroup: "example.com", APIVersion: "v1"}
	definition := request.RequestInfo{IsResourceRequest: true, APIGroup: "apiextensions.k8s.io", APIVersion: "v1"}
	const protobuf = "application/vnd.kubernetes.protobuf"
	for _, tc := range []struct {
		method, contentType string
		info                request.RequestInfo
		want                int
	}{
		{http.MethodPost, protobuf, custom, 415},
		{http.MethodPut, protobuf + ";x=y", custom, 415},
		{http.MethodDelete, protobuf, custom, 200},
		{http.MethodPost, "application/json", custom, 200},
		{http.MethodPost, "", custom, 200},
		{http.MethodPost, protobuf, definition, 200},
		{http.MethodPost, protobuf, request.RequestInfo{APIGroup: "example.com"}, 200},
	} {
		if w := answer(h, tc.method, "/", tc.contentType, tc.info); w.Code != tc.want {
			t.Errorf("%s %s %s: %d, %s", tc.method, tc.contentType, tc.info.APIGroup, w.Code, w.Body)
		}
	}
}

func TestWhatCannotBeAppliedIsTheClientsFault(t *testing.T) {
	patch := request.RequestInfo{IsResourceRequest: true, Verb: "patch", APIVersion: "v1"}
	for _, tc := range []struct {
		what, contentType string
		err               error
		want              int
		says              string
	}{
		{"another form", "application/apply-patch+yaml", errors.New("failed to create typed patch object (a; v1, Kind=Pod): .spec: expected map"), 400, ".spec: expected map"},
		{"another form, in CBOR", "application/apply-patch+cbor", errors.New("failed to convert new object (a; v1, Kind=Pod): x"), 400, "failed to convert new object"},
		{"a failure", "application/apply-patch+yaml", errors.New("the disk is full"), 500, "the disk is full"},
		{"a failure with a reason", "application/apply-patch+yaml", apierrors.NewInternalError(errors.New("failed to create typed patch object")), 500, "failed to create"},
		{"a conflict", "application/apply-patch+yaml", apierrors.NewApplyConflict(nil, "conflict"), 409, "conflict"},
		{"another patch", "application/merge-patch+json", errors.New("failed to create typed patch object"), 500, "failed to create"},
	} {
		h := WithApplyErrors(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			responsewriters.ErrorNegotiated(tc.err, codecs(), groupVersion(r), w, r)
		}), codecs().UniversalDeserializer(), codecs())
		w := answer(h, http.MethodPatch, "/", tc.contentType, patch)
		if w.Code != tc.want || !strings.Contains(w.Body.String(), tc.says) {
			t.Errorf("%s: %d, %s", tc.what, w.Code, w.Body)
		}
	}
	h := WithApplyErrors(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("done")) }), codecs().UniversalDeserializer(), codecs()) //nolint:errcheck // a recorder
	if w := answer(h, http.MethodPatch, "/", "application/apply-patch+yaml", patch); w.Code != http.StatusOK || w.Body.String() != "done" {
		t.Errorf("%d, %s", w.Code, w.Body)
	}
}

func TestNoAnswerIsHeldWithoutEnd(t *testing.T) {
	object := request.RequestInfo{IsResourceRequest: true, Verb: "patch", APIVersion: "v1", Resource: "pods"}
	proxied := object
	proxied.Subresource = "proxy"
	long := strings.Repeat("x", maxHeld)
	for _, tc := range []struct {
		what  string
		info  request.RequestInfo
		write func(http.ResponseWriter)
		held  bool
	}{
		{"a short one", object, func(http.ResponseWriter) {}, true},
		{"a long one", object, func(w http.ResponseWriter) { io.WriteString(w, long) }, false}, //nolint:errcheck // a recorder
		{"one that is flushed", object, func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, false},
		{"a pod's", proxied, func(http.ResponseWriter) {}, false},
		{"one that is no object's", request.RequestInfo{}, func(http.ResponseWriter) {}, false},
	} {
		w := httptest.NewRecorder()
		h := WithApplyErrors(http.HandlerFunc(func(held http.ResponseWriter, _ *http.Request) {
			held.WriteHeader(http.StatusInternalServerError)
			io.WriteString(held, "y") //nolint:errcheck // a recorder
			tc.write(held)
			if sent := w.Body.Len() > 0; sent == tc.held {
				t.Errorf("%s: sent before its end: %t", tc.what, sent)
			}
		}), codecs().UniversalDeserializer(), codecs())
		r := httptest.NewRequest(http.MethodPatch, "/", nil)
		r.Header.Set("Content-Type", "application/apply-patch+yaml")
		h.ServeHTTP(w, r.WithContext(request.WithRequestInfo(r.Context(), &tc.info)))
		if w.Code != http.StatusInternalServerError || !strings.HasPrefix(w.Body.String(), "y") {
			t.Errorf("%s: %d, %.20q", tc.what, w.Code, w.Body)
		}
	}
}
