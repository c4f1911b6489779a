package apiserver

import (
	"net/http"

	genericfilters "k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/filters/impersonation"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"
)

// closing tells the watch filter when to end watches.
type closing <-chan struct{}

func (c closing) ShuttingDown() <-chan struct{} { return c }

// handlerChain is what a request passes before its handler, the outermost last.
// It has no goroutine per request: a deadline in the context ends storage calls.
// installed is closed once every path is served, so that until then a missing
// path is "not yet" (503) rather than "not found".
func handlerChain(installed <-chan struct{}) func(http.Handler, *genericapiserver.Config) http.Handler {
	return func(h http.Handler, c *genericapiserver.Config) http.Handler {
		h = genericfilters.WithAuthorization(h, c.Authorization.Authorizer, c.Serializer)
		h = filters.WithMaxInFlightLimit(h, c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight, c.LongRunningFunc)
		h = impersonation.WithImpersonation(h, c.Authorization.Authorizer, c.Serializer)
		h = genericfilters.WithAuthentication(h, c.Authentication.Authenticator, genericfilters.Unauthorized(c.Serializer),
			c.Authentication.APIAudiences, c.Authentication.RequestHeaderConfig)
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
