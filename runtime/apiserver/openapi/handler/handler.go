package handler

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/kube-openapi/pkg/builder"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/handler3"
)

const (
	pathV2 = "/openapi/v2"
	pathV3 = "/openapi/v3"

	mediaJSON     = "application/json"
	mediaProtobuf = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
)

// OpenAPI serves the documents of what a container serves.
type OpenAPI struct {
	container *restful.Container
	v2        *common.Config
	v3        *common.OpenAPIV3Config
	revision  string

	mu        sync.Mutex
	documents map[string]*document
}

// document is one of the documents in one encoding.
type document struct {
	once    sync.Once
	gzipped []byte
	err     error
}

// New returns the documents of what the container serves by the time they are
// asked for. revision stands for the program: documents of one revision never
// differ, so clients may keep them.
func New(container *restful.Container, v2 *common.Config, v3 *common.OpenAPIV3Config, revision string) *OpenAPI {
	return &OpenAPI{container: container, v2: v2, v3: v3, revision: revision, documents: map[string]*document{}}
}

// Register serves the documents and the index of those of v3.
func (d *OpenAPI) Register(mux common.PathHandlerByGroupVersion) {
	mux.Handle(pathV2, http.HandlerFunc(d.serveV2))
	mux.Handle(pathV3, http.HandlerFunc(d.serveIndex))
	mux.HandlePrefix(pathV3+"/", http.HandlerFunc(d.serveV3))
}

func (d *OpenAPI) serveV2(w http.ResponseWriter, r *http.Request) {
	d.serve(w, r, pathV2, mediaJSON, d.makeV2)
}

func (d *OpenAPI) makeV2() ([]byte, error) {
	doc, err := builder.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices(d.container.RegisteredWebServices()), d.v2)
	if err != nil {
		return nil, err
	}
	doc.Definitions = handler.PruneDefaults(doc.Definitions)
	return doc.MarshalJSON()
}

// serveIndex lists the group versions, each with a URL that changes with its document.
func (d *OpenAPI) serveIndex(w http.ResponseWriter, _ *http.Request) {
	index := handler3.OpenAPIV3Discovery{Paths: map[string]handler3.OpenAPIV3DiscoveryGroupVersion{}}
	for _, s := range d.container.RegisteredWebServices() {
		gv := groupVersion(s)
		index.Paths[gv] = handler3.OpenAPIV3DiscoveryGroupVersion{ServerRelativeURL: d.url(gv)}
	}
	w.Header().Set("Content-Type", mediaJSON)
	json.NewEncoder(w).Encode(index) //nolint:errcheck // the client is gone
}

func groupVersion(s *restful.WebService) string { return strings.TrimPrefix(s.RootPath(), "/") }

func (d *OpenAPI) url(gv string) string {
	return pathV3 + "/" + gv + "?" + url.Values{"hash": {d.hash(gv)}}.Encode()
}

func (d *OpenAPI) hash(of string) string {
	sum := sha256.Sum256([]byte(d.revision + "\n" + of))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func (d *OpenAPI) serveV3(w http.ResponseWriter, r *http.Request) {
	gv := strings.TrimPrefix(r.URL.Path, pathV3+"/")
	var service *restful.WebService
	for _, s := range d.container.RegisteredWebServices() {
		if groupVersion(s) == gv {
			service = s
		}
	}
	if service == nil {
		http.NotFound(w, r)
		return
	}
	if asked := r.URL.Query().Get("hash"); asked != "" {
		if asked != d.hash(gv) {
			http.Redirect(w, r, d.url(gv), http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Cache-Control", "public, immutable")
	}
	w.Header().Set("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "proto-openapi") {
		d.serve(w, r, gv, mediaProtobuf, func() ([]byte, error) {
			data, err := d.makeV3(service)
			if err != nil {
				return nil, err
			}
			return handler3.ToV3ProtoBinary(data)
		})
		return
	}
	d.serve(w, r, gv, mediaJSON, func() ([]byte, error) { return d.makeV3(service) })
}

func (d *OpenAPI) makeV3(s *restful.WebService) ([]byte, error) {
	doc, err := builder3.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices([]*restful.WebService{s}), d.v3)
	if err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

// serve answers with a document, made if it is the first time.
func (d *OpenAPI) serve(w http.ResponseWriter, r *http.Request, name, media string, encode func() ([]byte, error)) {
	d.mu.Lock()
	doc := d.documents[name+" "+media]
	if doc == nil {
		doc = &document{}
		d.documents[name+" "+media] = doc
	}
	d.mu.Unlock()
	doc.once.Do(func() { doc.gzipped, doc.err = compress(encode) })
	if doc.err != nil {
		http.Error(w, fmt.Sprintf("describe %s: %v", name, doc.err), http.StatusInternalServerError)
		return
	}
	etag := `"` + d.hash(name+" "+media) + `"`
	w.Header().Set("Content-Type", media)
	w.Header().Set("Etag", etag)
	w.Header().Add("Vary", "Accept-Encoding")
	switch {
	case r.Header.Get("If-None-Match") == etag:
		w.WriteHeader(http.StatusNotModified)
	case strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(doc.gzipped) //nolint:errcheck // the client is gone
	default:
		if plain, err := gzip.NewReader(bytes.NewReader(doc.gzipped)); err == nil {
			io.Copy(w, plain) //nolint:errcheck // the client is gone
		}
	}
}

func compress(encode func() ([]byte, error)) ([]byte, error) {
	data, err := encode()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	if _, err := zw.Write(data); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(out.Bytes()), nil
}
