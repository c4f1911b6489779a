package filters

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"
	flowcontrolrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
)

// Seats bounds how many seats of priority and fairness the requests of one user hold at
// once, so that none holds all of a priority level. Fair queues alone do not see to that:
// whom they let in keeps its seats for as long as its client takes to send a body or to
// read an answer. More requests wait, in the order in which they came, and hold no seat
// meanwhile. It is safe for concurrent use.
type Seats struct {
	limit       int64
	estimate    flowcontrolrequest.WorkEstimatorFunc
	longRunning request.LongRunningRequestCheck
	timeout     time.Duration
	serializer  runtime.NegotiatedSerializer

	mu    sync.Mutex
	users map[sitter]*seated
}

// sitter is who seats are counted for. Heartbeats are counted apart, as upstream has them
// in levels of their own: a controller whose requests wait for a webhook stays the leader.
type sitter struct {
	user      string
	heartbeat bool
}

func sitterOf(info *request.RequestInfo, who user.Info) sitter {
	lease := info.APIGroup == coordinationv1.GroupName && info.Resource == "leases"
	return sitter{holder(who), lease || info.APIGroup == "" && info.Resource == "nodes" && info.Subresource == "status"}
}

// seated is a user of whom requests hold seats or wait for them.
type seated struct {
	seats    *semaphore.Weighted
	requests int
}

// patience is the part of a request's time that it waits here. The library has it wait a
// quarter of it from when it came, in its queues and before them.
const patience = 8

// NewSeats returns the bound of limit seats (0: none). estimate is that of priority and
// fairness; timeout is the time of a request that has no deadline.
func NewSeats(limit int, estimate flowcontrolrequest.WorkEstimatorFunc, longRunning request.LongRunningRequestCheck, timeout time.Duration, s runtime.NegotiatedSerializer) *Seats {
	return &Seats{limit: int64(limit), estimate: estimate, longRunning: longRunning, timeout: timeout, serializer: s, users: map[sitter]*seated{}}
}

// Before stands before priority and fairness.
func (s *Seats) Before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, known := request.RequestInfoFrom(r.Context())
		who, named := request.UserFrom(r.Context())
		if s.limit <= 0 || !known || !named || s.exempt(r, info, who) {
			h.ServeHTTP(w, r)
			return
		}
		n := int64(1) // as priority and fairness has it of all but lists
		if info.Verb == "list" || info.Verb == "watch" {
			// The level is not known yet; what it allows of the estimate is no more.
			n = min(int64(s.estimate(r, "", "").InitialSeats), s.limit) //nolint:gosec // an estimate is of hundreds at most
		}
		sitter := sitterOf(info, who)
		held := &heldSeats{seats: s, sitter: sitter, n: n, of: s.enter(sitter), left: make(chan struct{})}
		if !s.await(r, held) {
			s.exit(sitter)
			err := apierrors.NewTooManyRequests(fmt.Sprintf("%s has requests under way that take %d seats, which is the limit, and none ended in time", sitter.user, s.limit), 1)
			responsewriters.ErrorNegotiated(err, s.serializer, groupVersion(r), w, r)
			return
		}
		defer held.leave()
		if info.Verb == "watch" {
			r = r.WithContext(context.WithValue(r.Context(), heldKey{}, held))
		}
		h.ServeHTTP(w, r)
	})
}

// Behind stands behind priority and fairness. A watch leaves its seats once it has sent
// what there is at its beginning, as it does there.
func (s *Seats) Behind(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if held, ok := r.Context().Value(heldKey{}).(*heldSeats); ok {
			r = r.WithContext(utilflowcontrol.WithInitializationSignal(r.Context(), begun{r.Context(), held}))
		}
		h.ServeHTTP(w, r)
	})
}

// exempt are those that priority and fairness does not hold up: administrators, probes,
// and streams.
func (s *Seats) exempt(r *http.Request, info *request.RequestInfo, who user.Info) bool {
	if !info.IsResourceRequest && slices.Contains([]string{"/healthz", "/livez", "/readyz"}, info.Path) {
		return true
	}
	return info.Verb != "watch" && s.longRunning(r, info) || slices.Contains(who.GetGroups(), user.SystemPrivilegedGroup)
}

// await waits for the seats for as long as there is time for.
func (s *Seats) await(r *http.Request, held *heldSeats) bool {
	if held.of.seats.TryAcquire(held.n) {
		return true
	}
	now := time.Now()
	end := now.Add(s.timeout / patience)
	if deadline, ok := r.Context().Deadline(); ok {
		end = now.Add(deadline.Sub(now) / patience)
	}
	ctx, cancel := context.WithDeadline(r.Context(), end)
	defer cancel()
	return held.of.seats.Acquire(ctx, held.n) == nil
}

// enter counts a request of a user. Only users with requests are kept.
func (s *Seats) enter(who sitter) *seated {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[who]
	if u == nil {
		u = &seated{seats: semaphore.NewWeighted(s.limit)}
		s.users[who] = u
	}
	u.requests++
	return u
}

func (s *Seats) exit(who sitter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[who]; u.requests > 1 {
		u.requests--
	} else {
		delete(s.users, who)
	}
}

// heldSeats are those of a request, which leaves them once.
type heldSeats struct {
	seats  *Seats
	sitter sitter
	of     *seated
	n      int64
	once   sync.Once
	left   chan struct{} // closed when they are left
}

func (h *heldSeats) leave() {
	h.once.Do(func() {
		h.of.seats.Release(h.n)
		h.seats.exit(h.sitter)
		close(h.left)
	})
}

// heldKey is that of a watch's seats in its context.
type heldKey struct{}

// begun is what the storage tells that a watch has begun. It passes that on to priority
// and fairness, whose signal is in the context.
type begun struct {
	ctx  context.Context //nolint:containedctx // it is what holds the other signal
	held *heldSeats
}

func (b begun) Signal() {
	b.held.leave()
	utilflowcontrol.WatchInitialized(b.ctx)
}

// Wait waits for the signal.
func (b begun) Wait() { <-b.held.left }
