package filters

import (
	"context"
	"net/http"

	"k8s.io/apiserver/pkg/endpoints/request"
)

// WithEnd ends the requests at work when over is done, as at their deadline: what they
// wait for does not come any more, and the server that is to end would wait for them. It
// stands before [WithDeadline]. Long-running requests end by themselves.
func WithEnd(h http.Handler, longRunning request.LongRunningRequestCheck, over context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info, known := request.RequestInfoFrom(r.Context()); known && longRunning(r, info) {
			h.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(over, func() { cancel(context.DeadlineExceeded) })()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}
