package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// judge tells the dialer how the requests of a transport end, and keeps those that are
// patient until a master accepts them.
type judge struct {
	dialer *Dialer
	waits  bool // for a master, with patient requests
	http.RoundTripper
}

// RoundTrip passes the request on. What counts as failed is running out of time,
// here or there, which is how a master without a store shows. Any other answer is
// one: moving on because of an object that cannot be written would help nobody.
func (j judge) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		accepts := j.dialer.accepts()
		resp, err := j.RoundTripper.RoundTrip(req)
		switch {
		case err == nil:
			j.dialer.heard(resp.StatusCode != http.StatusGatewayTimeout)
		case !errors.Is(err, context.Canceled):
			j.dialer.heard(false)
		}
		if err == nil || !j.waits || !errors.Is(err, ErrNoMaster) || !patient(req) {
			return resp, err
		}
		select {
		case <-req.Context().Done():
			// Not the error of the connection: of one that was refused reflectors wait out
			// their back-off before they see that they are to end, so that it is only told.
			return nil, fmt.Errorf("%w (%w: %v)", context.Cause(req.Context()), ErrNoMaster, err)
		case <-accepts: // of another request's
		case <-time.After(redial):
		}
		if req, err = again(req); err != nil {
			return nil, err
		}
	}
}

// WrappedRoundTripper is the transport below, for client-go.
func (j judge) WrappedRoundTripper() http.RoundTripper { return j.RoundTripper }

// redial is the pause of a patient request before masters are tried again.
const redial = time.Second

type patience struct{}

// Patient marks the requests of whoever has nothing better to do than to wait: while
// no master accepts a connection they wait until one does, or ctx ends, and are then
// with the API at once. Failing would start a back-off, and a back-off knows of no
// event: when the network is healed it still has to run out.
func Patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patience{}, true)
}

// patient reports whether a request waits for a master. Those of reflectors do: they
// know nothing to do about a failure but to wait for up to half a minute, and to ask
// the same again. A context cannot mark them: informers make their own.
func patient(req *http.Request) bool {
	if marked, _ := req.Context().Value(patience{}).(bool); marked {
		return true
	}
	if req.Method != http.MethodGet || req.URL == nil {
		return false
	}
	q := req.URL.Query()
	return q.Has("watch") || q.Has("resourceVersion") || q.Has("limit")
}

// again is a request to be sent once more; the connection for it was never made, and
// its body is closed.
func again(req *http.Request) (*http.Request, error) {
	if req.GetBody == nil {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	next := req.Clone(req.Context())
	next.Body = body
	return next, nil
}
