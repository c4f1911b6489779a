package apiserver

import (
	"crypto/x509"
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericfilters "k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/filters/impersonation"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"

	"github.com/gantry-run/gantry/runtime/apiserver/revoked"
)

// closing tells the watch filter when to end watches.
type closing <-chan struct{}

func (c closing) ShuttingDown() <-chan struct{} { return c }

// handlerChain is what a request passes before its handler, the outermost last.
// It has no goroutine per request: a deadline in the context ends storage calls.
// installed is closed once every path is served, so that until then a missing
// path is "not yet" (503) rather than "not found". Refusal says why a client's
// certificate is not accepted whoever signed it.
func handlerChain(installed <-chan struct{}, refusal func(*x509.Certificate) error) func(http.Handler, *genericapiserver.Config) http.Handler {
	return func(h http.Handler, c *genericapiserver.Config) http.Handler {
		h = genericfilters.WithAuthorization(h, c.Authorization.Authorizer, c.Serializer)
		h = filters.WithMaxInFlightLimit(h, c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight, c.LongRunningFunc)
		h = impersonation.WithConstrainedImpersonation(h, c.Authorization.Authorizer, c.Serializer)
		h = genericfilters.WithAuthentication(h, c.Authentication.Authenticator, genericfilters.Unauthorized(c.Serializer),
			c.Authentication.APIAudiences, c.Authentication.RequestHeaderConfig)
		h = withoutRefused(h, refusal, c.Serializer)
		h = genericfilters.WithWarningRecorder(h)
		h = genericfilters.WithRequestDeadline(h, nil, nil, c.LongRunningFunc, c.Serializer, c.RequestTimeout)
		h = filters.WithWaitGroup(h, c.LongRunningFunc, c.NonLongRunningRequestWaitGroup)
		h = filters.WithWatchTerminationDuringShutdown(h, closing(c.ShutdownInitiatedNotify()), c.WatchRequestWaitGroup)
		h = genericfilters.WithCacheControl(h)
		h = genericfilters.WithRequestInfo(h, c.RequestInfoResolver)
		h = genericfilters.WithRequestReceivedTimestamp(h)
		h = genericfilters.WithMuxAndDiscoveryComplete(h, installed)
		h = filters.WithPanicRecovery(h, c.RequestInfoResolver)
		return genericfilters.WithAuditInit(h)
	}
}

// withoutRefused answers requests with a refused certificate. It says why, which the
// authenticators would keep to themselves: one of a node has an operator to tell.
func withoutRefused(h http.Handler, refusal func(*x509.Certificate) error, s runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			h.ServeHTTP(w, r)
			return
		}
		err := refusal(r.TLS.PeerCertificates[0])
		switch {
		case err == nil:
			h.ServeHTTP(w, r)
			return
		case errors.Is(err, revoked.ErrNotYet):
			w.Header().Set("Retry-After", "1")
			err = apierrors.NewServiceUnavailable(err.Error())
		default:
			err = apierrors.NewUnauthorized(err.Error())
		}
		var gv schema.GroupVersion
		if info, ok := request.RequestInfoFrom(r.Context()); ok {
			gv = schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
		}
		responsewriters.ErrorNegotiated(err, s, gv, w, r)
	})
}
