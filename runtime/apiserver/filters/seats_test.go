package filters

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"
	flowcontrolrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
)

// row is a row of seats: requests that are let in stay until they are told to leave.
type row struct {
	t       *testing.T
	seats   *Seats
	h       http.Handler
	begun   atomic.Int64
	leave   chan struct{}
	answers []*recorded
}

// recorded is the answer to one request, which nobody may look at before it is whole.
type recorded struct {
	*httptest.ResponseRecorder
	whole atomic.Bool
}

// newRow is one in which lists take three seats, watches two, and all else one.
func newRow(t *testing.T, limit int) *row {
	b := &row{t: t, leave: make(chan struct{})}
	estimate := func(r *http.Request, schema, level string) flowcontrolrequest.WorkEstimate {
		if schema != "" || level != "" {
			t.Errorf("estimated as of %q, %q", schema, level)
		}
		switch info, _ := request.RequestInfoFrom(r.Context()); info.Verb {
		case "list":
			return flowcontrolrequest.WorkEstimate{InitialSeats: 3, FinalSeats: 100}
		case "watch":
			return flowcontrolrequest.WorkEstimate{InitialSeats: 2}
		}
		t.Error("the work of what lists nothing is estimated")
		return flowcontrolrequest.WorkEstimate{InitialSeats: 1}
	}
	b.seats = NewSeats(limit, estimate, lasting, 80*time.Second, codecs())
	b.h = b.seats.Before(b.seats.Behind(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.begun.Add(1)
		if r.URL.Query().Has("starts") {
			utilflowcontrol.WatchInitialized(r.Context())
		}
		select {
		case <-b.leave:
		case <-r.Context().Done():
		}
	})))
	return b
}

// ask begins a request. How many have begun by now is what it must come to.
func (b *row) ask(what string, r *http.Request, begun int) {
	b.t.Helper()
	w := &recorded{ResponseRecorder: httptest.NewRecorder()}
	b.answers = append(b.answers, w)
	go func() {
		b.h.ServeHTTP(w, r)
		w.whole.Store(true)
	}()
	b.want(what, begun)
}

func (b *row) want(what string, begun int) {
	b.t.Helper()
	synctest.Wait()
	if got := int(b.begun.Load()); got != begun {
		b.t.Errorf("%s: %d requests have begun, want %d", what, got, begun)
	}
}

// end has one request leave.
func (b *row) end(what string, begun int) {
	b.t.Helper()
	b.leave <- struct{}{}
	b.want(what, begun)
}

// done has all leave, after which nothing may be kept of anyone.
func (b *row) done() {
	b.t.Helper()
	close(b.leave)
	if synctest.Wait(); len(b.seats.users) != 0 {
		b.t.Errorf("%d users are kept", len(b.seats.users))
	}
}

func TestNoUserHoldsAllSeats(t *testing.T) {
	get, list := request.RequestInfo{Verb: "get", IsResourceRequest: true, APIVersion: "v1"}, request.RequestInfo{Verb: "list", IsResourceRequest: true, APIVersion: "v1"}
	alice, bob := &user.DefaultInfo{Name: "alice"}, &user.DefaultInfo{Name: "bob"}
	one, other := &user.DefaultInfo{Name: "system:serviceaccount:a:x"}, &user.DefaultInfo{Name: "system:serviceaccount:a:y"}
	synctest.Test(t, func(t *testing.T) {
		b := newRow(t, 4)
		b.ask("a list of three seats", as(alice, list), 1)
		b.ask("a second has not the room", as(alice, list), 1)
		b.ask("what came later waits behind it", as(alice, get), 1)
		b.ask("another user does not", as(bob, list), 2)
		b.ask("one account of a namespace", as(one, list), 3)
		b.ask("waits for the other", as(other, list), 3)
		b.ask("an administrator has no bound", as(&user.DefaultInfo{Name: "alice", Groups: []string{user.SystemPrivilegedGroup}}, list), 4)
		b.ask("a probe has none", as(alice, request.RequestInfo{Verb: "get", Path: "/readyz"}), 5)
		b.ask("nor has a stream", as(alice, request.RequestInfo{Verb: "create", Subresource: "exec", IsResourceRequest: true}), 6)
		lease := request.RequestInfo{Verb: "update", APIGroup: "coordination.k8s.io", Resource: "leases", IsResourceRequest: true}
		for i := range 4 {
			b.ask("its heartbeats have seats of their own", as(alice, lease), 7+i)
		}
		b.ask("four of them", as(alice, request.RequestInfo{Verb: "patch", Resource: "nodes", Subresource: "status", IsResourceRequest: true}), 10)
		b.ask("a node is no heartbeat", as(bob, request.RequestInfo{Verb: "get", Resource: "nodes", IsResourceRequest: true}), 11)
		b.ask("nor a lease of another group", as(bob, request.RequestInfo{Verb: "get", APIGroup: "example.com", Resource: "leases", IsResourceRequest: true}), 11)
		b.ask("another path has", as(alice, request.RequestInfo{Verb: "get", Path: "/openapi/v2"}), 11)
		b.done()
		for i, w := range b.answers {
			if !w.whole.Load() || w.Code != http.StatusOK {
				t.Errorf("request %d is answered %d: %s", i, w.Code, w.Body)
			}
		}
	})
}

func TestSeatsAreLeftInOrder(t *testing.T) {
	get, list := request.RequestInfo{Verb: "get", IsResourceRequest: true}, request.RequestInfo{Verb: "list", IsResourceRequest: true}
	alice := &user.DefaultInfo{Name: "alice"}
	synctest.Test(t, func(t *testing.T) {
		b := newRow(t, 2) // lists take all there are
		b.ask("a list", as(alice, list), 1)
		b.ask("a second", as(alice, get), 1)
		b.ask("a third", as(alice, get), 1)
		b.ask("a fourth", as(alice, get), 1)
		b.end("two seats are left", 3)
		b.end("one seat is left", 4)
		b.done()
	})
	synctest.Test(t, func(t *testing.T) {
		b := newRow(t, 0)
		for i := range 5 {
			b.ask("without a bound", as(alice, list), i+1)
		}
		b.done()
	})
}

func TestWhoWaitsForASeatIsToldInTime(t *testing.T) {
	get := request.RequestInfo{Verb: "get", IsResourceRequest: true, APIVersion: "v1"}
	alice := &user.DefaultInfo{Name: "alice"}
	synctest.Test(t, func(t *testing.T) {
		b := newRow(t, 1)
		b.ask("the first", as(alice, get), 1)
		hurried, cancel := context.WithTimeout(t.Context(), 16*time.Second)
		defer cancel()
		b.ask("one that has 16 seconds", as(alice, get).WithContext(requestOf(hurried, alice, get)), 1)
		b.ask("one that has as long as there is", as(alice, get), 1)
		gone, leave := context.WithCancel(t.Context())
		b.ask("one that leaves", as(alice, get).WithContext(requestOf(gone, alice, get)), 1)
		leave()
		for _, step := range []struct {
			wait    time.Duration
			refused []int
		}{{2*time.Second - 1, []int{3}}, {1, []int{1, 3}}, {8*time.Second - 1, []int{1, 3}}, {1, []int{1, 2, 3}}} {
			time.Sleep(step.wait)
			synctest.Wait()
			var refused []int
			for n, w := range b.answers {
				if w.whole.Load() && w.Code == http.StatusTooManyRequests {
					refused = append(refused, n)
					if text := w.Body.String(); !strings.Contains(text, "alice has requests under way that take 1 seats, which is the limit") || w.Header().Get("Retry-After") != "1" {
						t.Errorf("%v %s", w.Header(), text)
					}
				}
			}
			if !slices.Equal(refused, step.refused) {
				t.Errorf("%v are refused, want %v", refused, step.refused)
			}
		}
		b.want("none of them was served", 1)
		b.done()
	})
}

// requestOf is the context of a user's request.
func requestOf(ctx context.Context, who user.Info, info request.RequestInfo) context.Context {
	return request.WithUser(request.WithRequestInfo(ctx, &info), who)
}

// signal is that of priority and fairness.
type signal struct{ signals atomic.Int64 }

func (s *signal) Signal() { s.signals.Add(1) }
func (s *signal) Wait()   {}

func TestAWatchLeavesItsSeatsOnceItHasBegun(t *testing.T) {
	watch := request.RequestInfo{Verb: "watch", IsResourceRequest: true}
	alice := &user.DefaultInfo{Name: "alice"}
	begins := func(sent *signal) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/pods?starts", nil)
		return r.WithContext(utilflowcontrol.WithInitializationSignal(requestOf(r.Context(), alice, watch), sent))
	}
	synctest.Test(t, func(t *testing.T) {
		b := newRow(t, 3)
		var sent signal
		for i := range 3 {
			b.ask("watches that have begun", begins(&sent), i+1)
		}
		if n := sent.signals.Load(); n != 3 {
			t.Errorf("priority and fairness learns of %d", n)
		}
		b.ask("one that sends its first objects", as(alice, watch), 4)
		b.ask("holds two seats of three", begins(&sent), 4)
		b.done()
		if n := sent.signals.Load(); n != 4 {
			t.Errorf("priority and fairness learns of %d", n)
		}
	})
}
