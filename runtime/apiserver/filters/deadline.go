package filters

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	goruntime "runtime"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

const (
	// answerGrace is the time there is after the deadline to send the answer that
	// says so.
	answerGrace = 5 * time.Second
	// longestWatch is more than the server lets a watch last that names no end.
	longestWatch = time.Hour
)

// errTimeout is what upstream answers.
func errTimeout() *apierrors.StatusError {
	return apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0)
}

// WithDeadline ends requests at the deadline of their context, those included whose
// body does not come and whose answer is not read: the deadline is the connection's
// (or the HTTP/2 stream's) too, which takes no goroutine for each request. The client
// is told as upstream tells it, 504 with reason Timeout. Long-running requests have no
// deadline, but for watches: one that nobody reads ends with the time it was asked for.
func WithDeadline(h http.Handler, longRunning request.LongRunningRequestCheck, s runtime.NegotiatedSerializer) http.Handler {
	return withDeadline(h, longRunning, s, answerGrace)
}

func withDeadline(h http.Handler, longRunning request.LongRunningRequestCheck, s runtime.NegotiatedSerializer, grace time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, known := request.RequestInfoFrom(r.Context())
		deadline, limited := r.Context().Deadline()
		// A server under test may have a writer without deadlines: the context's is
		// all there is then.
		connection := http.NewResponseController(w)
		switch {
		case known && info.Verb == "watch":
			_ = connection.SetWriteDeadline(time.Now().Add(watchLength(r) + grace))
			h.ServeHTTP(w, r)
			return
		case !limited || known && longRunning(r, info):
			h.ServeHTTP(w, r)
			return
		}
		_ = connection.SetWriteDeadline(deadline.Add(grace))
		if r.Body != nil && r.Body != http.NoBody {
			_ = connection.SetReadDeadline(deadline)
			r.Body = &timedBody{r.Body}
		}
		timed := &timedWriter{ResponseWriter: w, request: r, serializer: s}
		if r.Context().Err() != nil {
			timed.timeout()
			return
		}
		h.ServeHTTP(responsewriter.WrapForHTTP1Or2(timed), r)
	})
}

// watchLength is how long a watch was asked to last.
func watchLength(r *http.Request) time.Duration {
	seconds, err := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	asked := time.Duration(seconds) * time.Second
	if err != nil || seconds <= 0 || asked/time.Second != time.Duration(seconds) {
		return longestWatch
	}
	return asked
}

// timedBody says of a body that did not come in time what a client can read.
type timedBody struct{ io.ReadCloser }

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		err = errTimeout()
	}
	return n, err
}

// timedWriter answers with a timeout where a handler answers, after the deadline, that
// it failed: whatever it says was interrupted by the deadline.
type timedWriter struct {
	http.ResponseWriter
	request    *http.Request
	serializer runtime.NegotiatedSerializer
	// begun is set when a status was sent, ended when it was the timeout's.
	begun, ended bool
	turn         time.Time // when others had theirs
}

// Unwrap gives the library what it looks for below.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader begins the answer.
func (w *timedWriter) WriteHeader(code int) {
	if w.ended {
		return
	}
	if !w.begun && code >= http.StatusInternalServerError && errors.Is(context.Cause(w.request.Context()), context.DeadlineExceeded) {
		w.timeout()
		return
	}
	w.begun = true
	w.ResponseWriter.WriteHeader(code)
}

func (w *timedWriter) Write(b []byte) (int, error) {
	if w.ended {
		return len(b), nil // of an answer that is not sent
	}
	w.begun = true
	w.giveTurn()
	return w.ResponseWriter.Write(b)
}

// turn is how long an answer is made before others get their turn.
const turn = time.Millisecond

// giveTurn has those that are ready run. A long list is made without a wait, and some
// tens of them would hold up what takes no time for tens of turns of the scheduler, which
// are of 10 ms.
func (w *timedWriter) giveTurn() {
	if now := time.Now(); now.Sub(w.turn) >= turn {
		w.turn = now
		goruntime.Gosched()
	}
}

func (w *timedWriter) timeout() {
	w.ended = true
	for _, name := range []string{"Content-Length", "Content-Encoding"} {
		w.Header().Del(name)
	}
	responsewriters.ErrorNegotiated(errTimeout(), w.serializer, groupVersion(w.request), w.ResponseWriter, w.request)
}

// groupVersion is that of the resource that is asked for.
func groupVersion(r *http.Request) schema.GroupVersion {
	info, ok := request.RequestInfoFrom(r.Context())
	if !ok {
		return schema.GroupVersion{}
	}
	return schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
}
