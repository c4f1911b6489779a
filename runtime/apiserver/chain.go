package apiserver

import (
	"context"
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
	flowcontrolrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"

	ours "github.com/gantry-run/gantry/runtime/apiserver/filters"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/apiserver/revoked"
)

// closing tells the watch filter when to end watches.
type closing <-chan struct{}

func (c closing) ShuttingDown() <-chan struct{} { return c }

// links are what the chain needs beyond the library's configuration.
type links struct {
	// installed is closed once every path is served, so that until then a missing
	// path is "not yet" (503) rather than "not found".
	installed <-chan struct{}
	// over is done when the requests at work are to end.
	over context.Context
	// refusal says why a client's certificate is not accepted whoever signed it.
	refusal func(*x509.Certificate) error
	// sizes tell how much a list reads.
	sizes *registry.Sizes
	// perUser bounds what one user has at once.
	perUser ours.PerUser
	// decoder reads what the library answers.
	decoder runtime.Decoder
}

// handlerChain is what a request passes before its handler, the outermost last: the
// order is upstream's. It has no goroutine per request: a deadline in the context ends
// storage calls, and one of the connection ends what waits for the client.
func handlerChain(l links) func(http.Handler, *genericapiserver.Config) http.Handler {
	return func(h http.Handler, c *genericapiserver.Config) http.Handler {
		h = ours.WithApplyErrors(ours.WithWatchVersion(h, c.Serializer), l.decoder, c.Serializer)
		h = genericfilters.WithAuthorization(h, c.Authorization.Authorizer, c.Serializer)
		h = withFairness(h, c, l)
		h = ours.WithPerUser(h, l.perUser, c.LongRunningFunc, c.Serializer)
		h = impersonation.WithConstrainedImpersonation(h, c.Authorization.Authorizer, c.Serializer)
		h = genericfilters.WithAudit(h, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc)
		failed := genericfilters.WithFailedAuthenticationAudit(genericfilters.Unauthorized(c.Serializer), c.AuditBackend, c.AuditPolicyRuleEvaluator)
		h = genericfilters.WithAuthentication(h, c.Authentication.Authenticator, failed, c.Authentication.APIAudiences, c.Authentication.RequestHeaderConfig)
		h = withoutRefused(h, l.refusal, c.Serializer)
		h = genericfilters.WithWarningRecorder(h)
		h = ours.WithDeadline(h, c.LongRunningFunc, c.Serializer)
		h = genericfilters.WithRequestDeadline(h, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc, c.Serializer, c.RequestTimeout)
		h = ours.WithEnd(h, c.LongRunningFunc, l.over)
		h = filters.WithWaitGroup(h, c.LongRunningFunc, c.NonLongRunningRequestWaitGroup)
		h = filters.WithWatchTerminationDuringShutdown(h, closing(c.ShutdownInitiatedNotify()), c.WatchRequestWaitGroup)
		if c.GoawayChance > 0 {
			h = filters.WithProbabilisticGoaway(h, c.GoawayChance)
		}
		h = genericfilters.WithCacheControl(h)
		h = genericfilters.WithRequestInfo(h, c.RequestInfoResolver)
		h = genericfilters.WithRequestReceivedTimestamp(h)
		h = genericfilters.WithMuxAndDiscoveryComplete(h, l.installed)
		h = filters.WithPanicRecovery(h, c.RequestInfoResolver)
		return genericfilters.WithAuditInit(h)
	}
}

// checked is a server of the chain of servers behind checks of its own.
type checked struct {
	*genericapiserver.GenericAPIServer
	check func(http.Handler) http.Handler
}

// UnprotectedHandler is what the server before this one hands requests on to.
func (c checked) UnprotectedHandler() http.Handler {
	return c.check(c.GenericAPIServer.UnprotectedHandler())
}

// withFairness decides who is served first when there is more to do than can be done
// at once, and that no user is served with all there is.
func withFairness(h http.Handler, c *genericapiserver.Config, l links) http.Handler {
	if c.FlowControl == nil {
		return filters.WithMaxInFlightLimit(h, c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight, c.LongRunningFunc)
	}
	estimate := flowcontrolrequest.NewWorkEstimator(l.sizes.Get, c.FlowControl.GetInterestedWatchCount,
		flowcontrolrequest.DefaultWorkEstimatorConfig(), c.FlowControl.GetMaxSeats)
	seats := ours.NewSeats(l.perUser.Seats, estimate, c.LongRunningFunc, c.RequestTimeout, c.Serializer)
	return seats.Before(filters.WithPriorityAndFairness(seats.Behind(h), c.LongRunningFunc, c.FlowControl, estimate, c.RequestTimeout/4))
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
