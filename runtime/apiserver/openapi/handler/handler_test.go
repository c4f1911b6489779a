package handler

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/handler3"
)

// described is a container that serves one path of one group version.
func described(revision string) http.Handler {
	ws := new(restful.WebService)
	ws.Path("/apis/shop/v1").Produces(restful.MIME_JSON)
	ws.Route(ws.GET("/").Operation("getShop").To(func(*restful.Request, *restful.Response) {}))
	container := restful.NewContainer()
	container.Add(ws)
	none := func(common.ReferenceCallback) map[string]common.OpenAPIDefinition { return nil }
	mux := prefixes{http.NewServeMux()}
	New(container, &common.Config{GetDefinitions: none}, &common.OpenAPIV3Config{GetDefinitions: none}, revision).Register(mux)
	return mux
}

// prefixes is a mux that takes prefixes as the API server's does.
type prefixes struct{ *http.ServeMux }

func (p prefixes) HandlePrefix(path string, h http.Handler) { p.Handle(path, h) }

func ask(t *testing.T, h http.Handler, url string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestDocuments(t *testing.T) {
	h := described("1")
	var index handler3.OpenAPIV3Discovery
	if err := json.Unmarshal(ask(t, h, "/openapi/v3").Body.Bytes(), &index); err != nil {
		t.Fatal(err)
	}
	url := index.Paths["apis/shop/v1"].ServerRelativeURL
	for _, path := range []string{"/openapi/v2", "/openapi/v3/apis/shop/v1", url} {
		var doc struct{ Paths map[string]any }
		w := ask(t, h, path)
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, w.Code, err)
		}
		if _, ok := doc.Paths["/apis/shop/v1/"]; !ok {
			t.Errorf("%s describes %v", path, doc.Paths)
		}
		if again := ask(t, h, path, "If-None-Match", w.Header().Get("Etag")); again.Code != http.StatusNotModified {
			t.Errorf("%s answers %d to who has it", path, again.Code)
		}
		if zipped := ask(t, h, path, "Accept-Encoding", "gzip"); zipped.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is not compressed for who asks for it", path)
		}
	}
	if w := ask(t, described("2"), url); w.Code != http.StatusMovedPermanently || w.Header().Get("Location") == url {
		t.Errorf("another revision answers %d, to %q", w.Code, w.Header().Get("Location"))
	}
	if w := ask(t, h, "/openapi/v3/apis/none/v1"); w.Code != http.StatusNotFound {
		t.Errorf("an unknown group answers %d", w.Code)
	}
}
