package filters

import (
	"context"
	"net/http"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// waits is a handler that says when it has begun, and waits for what comes.
func waits(begun chan<- struct{}, comes <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		select {
		case <-comes:
		case <-r.Context().Done():
			responsewriters.ErrorNegotiated(r.Context().Err(), codecs(), groupVersion(r), w, r)
		}
	}
}

func TestRequestsAtWorkEndWhenItIsOver(t *testing.T) {
	for what, c := range map[string]struct {
		info     request.RequestInfo
		over     bool
		timesOut bool
	}{
		"it is over":             {request.RequestInfo{Verb: "get", APIVersion: "v1"}, true, true},
		"it is not":              {request.RequestInfo{Verb: "get", APIVersion: "v1"}, false, false},
		"it is over, of a watch": {request.RequestInfo{Verb: "watch", APIVersion: "v1"}, true, false},
	} {
		begun, comes := make(chan struct{}, 2), make(chan struct{})
		over, end := context.WithCancel(t.Context())
		h := WithEnd(WithDeadline(waits(begun, comes), lasting, codecs()), lasting, over)
		// Of the second protocol's request it is over before it begins.
		serve(t, c.info, time.Hour, h.ServeHTTP, func(t *testing.T, client *http.Client, url string) {
			go func() {
				<-begun
				if c.over {
					end()
				}
				if !c.timesOut {
					comes <- struct{}{}
				}
			}()
			resp, err := client.Get(url)
			if c.timesOut {
				wantTimeout(t, resp, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: answered %s", what, resp.Status)
			}
		})
		end()
	}
}
