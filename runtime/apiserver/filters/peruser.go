package filters

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// PerUser is how much one user may have at once, or one certificate of a user. The service accounts of a namespace count as one: who may make one may make
// many.
type PerUser struct {
	// Watches bounds watches, Streams all else that lasts: exec, attach, port-forward,
	// proxied requests, logs that are followed. 0 is no bound.
	Watches, Streams int
	// Seats bounds the seats of priority and fairness (see [Seats]).
	Seats int
}

// WithPerUser answers 429 to requests above the limits. Cluster administrators have
// none. It stands behind authentication.
func WithPerUser(h http.Handler, limits PerUser, longRunning request.LongRunningRequestCheck, s runtime.NegotiatedSerializer) http.Handler {
	watches, streams := newHolders(limits.Watches), newHolders(limits.Streams)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, known := request.RequestInfoFrom(r.Context())
		who, named := request.UserFrom(r.Context())
		if !known || !named || !longRunning(r, info) || slices.Contains(who.GetGroups(), user.SystemPrivilegedGroup) {
			h.ServeHTTP(w, r)
			return
		}
		held, what := streams, "streams"
		if info.Verb == "watch" {
			held, what = watches, "watches"
		}
		name := holder(who)
		if !held.take(name) {
			err := apierrors.NewTooManyRequests(fmt.Sprintf("%s has %d %s, which is the limit: close some before opening others", name, held.limit, what), 1)
			responsewriters.ErrorNegotiated(err, s, groupVersion(r), w, r)
			return
		}
		defer held.leave(name)
		h.ServeHTTP(w, r)
	})
}

// holder is who a user's requests are counted for. Certificates of one user count apart:
// all nodes have the same user for their proxies and another for DNS, and one worker's
// stolen certificate must not lock out the others. A node's kubelet has a user of its own
// and has certificates signed unasked, so that its certificates count together.
func holder(who user.Info) string {
	name := who.GetName()
	if ns, _, err := serviceaccount.SplitUsername(name); err == nil {
		return serviceaccount.MakeNamespaceGroupName(ns)
	}
	if slices.Contains(who.GetGroups(), user.NodesGroup) {
		return name
	}
	for _, id := range who.GetExtra()[user.CredentialIDKey] {
		if strings.HasPrefix(id, certificatePrefix) {
			return name + " with certificate " + id
		}
	}
	return name
}

// certificatePrefix begins the ID that the library gives to credentials that are
// certificates.
const certificatePrefix = "X509SHA256="

// holders counts what each holds. Only who holds something is in it.
type holders struct {
	limit int
	mu    sync.Mutex
	held  map[string]int
}

func newHolders(limit int) *holders { return &holders{limit: limit, held: map[string]int{}} }

func (h *holders) take(name string) bool {
	if h.limit <= 0 {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[name] >= h.limit {
		return false
	}
	h.held[name]++
	return true
}

func (h *holders) leave(name string) {
	if h.limit <= 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[name]--; h.held[name] == 0 {
		delete(h.held, name)
	}
}
