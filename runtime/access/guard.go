package access

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	x509request "k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	webhooktoken "k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
	webhookauthz "k8s.io/apiserver/plugin/pkg/authorizer/webhook"
	authenticationv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

// How long answers of the API server are kept: upstream's defaults of the kubelet.
const (
	tokenTTL   = 2 * time.Minute
	allowedTTL = 5 * time.Minute
	deniedTTL  = 30 * time.Second
	// reviewTimeout bounds one review.
	reviewTimeout = 10 * time.Second
)

// Attributes are what is asked of the authorizer: a verb on a subresource of a node, or,
// where Subresource is empty, on a path.
type Attributes struct {
	Verb, Node, Subresource string
	Path                    string
}

// Rule says what a request needs: any one of the attributes is enough. None at all needs
// no more than that the client is known.
type Rule func(*http.Request) []Attributes

// Reviews is the way to the API server's reviews.
type Reviews interface {
	AuthenticationV1() authenticationv1.AuthenticationV1Interface
	AuthorizationV1() authorizationv1.AuthorizationV1Interface
}

// Config of a Guard.
type Config struct {
	// ClientCAs sign the certificates by which clients are known.
	ClientCAs *x509.CertPool
	API       Reviews
	// Own are users who may ask everything without a review: those who can read the
	// memory of the process anyway, and who must be answered while the API is away.
	Own []string
	Log *slog.Logger
}

// superusers may do everything, as in the API server.
const superusers = user.SystemPrivilegedGroup

// Guard lets requests pass.
type Guard struct {
	own   []string
	authn authenticator.Request
	authz authorizer.UnconditionalAuthorizer
	log   *slog.Logger
}

// NewGuard returns a guard. It asks nothing yet.
//
// The library's factories are not used for two of their choices: they build an
// environment for conditions in CEL, of which a review has none, at some megabytes for
// each process; and they remember refused tokens, as many as anybody cares to send.
func NewGuard(cfg Config) (*Guard, error) {
	authenticatorfactory.RegisterMetrics()
	tokens, err := webhooktoken.NewFromInterface(cfg.API.AuthenticationV1(), nil, backoff(), reviewTimeout, webhooktoken.AuthenticatorMetrics{
		RecordRequestTotal:   authenticatorfactory.RecordRequestTotal,
		RecordRequestLatency: authenticatorfactory.RecordRequestLatency,
	})
	if err != nil {
		return nil, fmt.Errorf("make the reviewer of tokens: %w", err)
	}
	const forgetRefused = 0
	known := cache.New(tokens, false, tokenTTL, forgetRefused)
	options := func() (x509.VerifyOptions, bool) {
		return x509.VerifyOptions{Roots: cfg.ClientCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true
	}
	authz, err := webhookauthz.NewFromInterface(cfg.API.AuthorizationV1(), allowedTTL, deniedTTL, backoff(),
		authorizer.DecisionNoOpinion, authorizerfactory.NewDelegatingAuthorizerMetrics(), nil)
	if err != nil {
		return nil, fmt.Errorf("make the reviewer of access: %w", err)
	}
	return &Guard{
		own: cfg.Own, authz: authz, log: cfg.Log,
		authn: group.NewAuthenticatedGroupAdder(union.New(
			x509request.NewDynamic(options, x509request.CommonNameUserConversion),
			bearertoken.New(known), websocket.NewProtocolAuthenticator(known))),
	}, nil
}

// backoff is upstream's between tries of a review that failed.
func backoff() wait.Backoff {
	return wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}
}

// Protect answers what rule refuses, and hands the rest to h.
func (g *Guard) Protect(h http.Handler, rule Rule) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok, err := g.authn.AuthenticateRequest(r)
		if err != nil || !ok {
			g.log.Debug("a client is not known", "from", r.RemoteAddr, "path", r.URL.Path, "error", err)
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		wanted := rule(r)
		allowed, err := g.allowed(r, who.User, wanted)
		switch {
		case err != nil:
			g.log.Warn("access could not be reviewed", "user", who.User.GetName(), "path", r.URL.Path, "error", err)
			http.Error(w, fmt.Sprintf("Authorization error (user=%s, verb=%s, %s)", who.User.GetName(), wanted[0].Verb, objects(wanted)), http.StatusInternalServerError)
		case !allowed:
			http.Error(w, fmt.Sprintf("Forbidden (user=%s, verb=%s, %s)", who.User.GetName(), wanted[0].Verb, objects(wanted)), http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func (g *Guard) allowed(r *http.Request, u user.Info, wanted []Attributes) (bool, error) {
	if len(wanted) == 0 || slices.Contains(g.own, u.GetName()) || slices.Contains(u.GetGroups(), superusers) {
		return true, nil
	}
	for _, a := range wanted {
		decision, _, err := g.authz.Authorize(r.Context(), a.record(u))
		if err != nil {
			return false, err
		}
		if decision == authorizer.DecisionAllow {
			return true, nil
		}
	}
	return false, nil
}

func (a Attributes) record(u user.Info) authorizer.AttributesRecord {
	if a.Subresource == "" {
		return authorizer.AttributesRecord{User: u, Verb: a.Verb, Path: a.Path}
	}
	return authorizer.AttributesRecord{
		User: u, Verb: a.Verb, APIVersion: "v1", Resource: "nodes", Name: a.Node, Subresource: a.Subresource,
		Path: a.Path, ResourceRequest: true,
	}
}

// objects tells in upstream's words what was asked for.
func objects(wanted []Attributes) string {
	if wanted[0].Subresource == "" {
		return "path=" + wanted[0].Path
	}
	names := make([]string, len(wanted))
	for i, a := range wanted {
		names[i] = a.Subresource
	}
	return "resource=nodes, subresource(s)=[" + strings.Join(names, " ") + "]"
}
