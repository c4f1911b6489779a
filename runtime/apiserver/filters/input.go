package filters

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// The library answers some of what clients send as if the server had failed, or panics.
// What is the client's fault is told to be so.

// WithWatchVersion refuses watches from a resource version that is none.
func WithWatchVersion(h http.Handler, s runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, known := request.RequestInfoFrom(r.Context())
		if version := r.URL.Query().Get("resourceVersion"); known && info.Verb == "watch" && version != "" {
			if _, err := strconv.ParseUint(version, 10, 64); err != nil {
				refuse(apierrors.NewBadRequest("resourceVersion: Invalid value: "+strconv.Quote(version)+": "+err.Error()), s, w, r)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// WithoutProtobuf refuses custom resources in protobuf, a format that they do not have.
// That of definitions, in group, is not concerned.
func WithoutProtobuf(h http.Handler, group string, s runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, known := request.RequestInfoFrom(r.Context())
		written := r.Method == http.MethodPost || r.Method == http.MethodPut
		if known && written && info.IsResourceRequest && info.APIGroup != group && mediaType(r) == runtime.ContentTypeProtobuf {
			refuse(negotiation.NewUnsupportedMediaTypeError([]string{runtime.ContentTypeJSON, runtime.ContentTypeYAML}), s, w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// maxHeld bounds what is kept of a failed answer: a Status is far smaller.
const maxHeld = 64 << 10

// WithApplyErrors answers 400 where what is applied has a value that its field cannot
// have. read decodes what the library answers. What a pod or node behind a proxy answers
// is its own, and may have no end.
func WithApplyErrors(h http.Handler, read runtime.Decoder, s runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !applies(r) {
			h.ServeHTTP(w, r)
			return
		}
		held := &heldError{ResponseWriter: w}
		h.ServeHTTP(held, r)
		if !held.failed {
			return
		}
		if message, ok := valueError(read, held.body.Bytes()); ok {
			w.Header().Del("Content-Length")
			refuse(apierrors.NewBadRequest(message), s, w, r)
			return
		}
		held.release() //nolint:errcheck // the client may be gone
	})
}

// applies reports whether a request is an apply to an object.
func applies(r *http.Request) bool {
	info, known := request.RequestInfoFrom(r.Context())
	if !known || !info.IsResourceRequest || info.Subresource == "proxy" || r.Method != http.MethodPatch {
		return false
	}
	t := types.PatchType(mediaType(r))
	return t == types.ApplyYAMLPatchType || t == types.ApplyCBORPatchType
}

// valueError reports whether a status is of an object that does not have the form of
// its kind.
func valueError(read runtime.Decoder, body []byte) (string, bool) {
	obj, err := runtime.Decode(read, body)
	status, is := obj.(*metav1.Status)
	if err != nil || !is || status.Reason != "" {
		return "", false
	}
	for _, prefix := range []string{"failed to create typed patch object", "failed to convert new object"} {
		if strings.HasPrefix(status.Message, prefix) {
			return status.Message, true
		}
	}
	return "", false
}

// heldError keeps an answer of status 500 back, while it is short and not flushed.
type heldError struct {
	http.ResponseWriter
	failed bool
	body   bytes.Buffer
}

// Unwrap gives the library what it looks for below.
func (e *heldError) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// WriteHeader begins the answer.
func (e *heldError) WriteHeader(code int) {
	if code == http.StatusInternalServerError {
		e.failed = true
		return
	}
	e.ResponseWriter.WriteHeader(code)
}

func (e *heldError) Write(b []byte) (int, error) {
	if e.failed && e.body.Len()+len(b) <= maxHeld {
		return e.body.Write(b)
	}
	if err := e.release(); err != nil {
		return 0, err
	}
	return e.ResponseWriter.Write(b)
}

// Flush sends what there is.
func (e *heldError) Flush() {
	if e.release() == nil {
		http.NewResponseController(e.ResponseWriter).Flush()
	}
}

// release sends what is held, after which nothing is.
func (e *heldError) release() error {
	if !e.failed {
		return nil
	}
	e.failed = false
	e.ResponseWriter.WriteHeader(http.StatusInternalServerError)
	_, err := e.body.WriteTo(e.ResponseWriter)
	return err
}

func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

func refuse(err error, s runtime.NegotiatedSerializer, w http.ResponseWriter, r *http.Request) {
	responsewriters.ErrorNegotiated(err, s, groupVersion(r), w, r)
}
