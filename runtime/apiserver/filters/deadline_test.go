package filters

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// serve runs the filter with a deadline before h, over HTTP/1 and HTTP/2.
func serve(t *testing.T, info request.RequestInfo, timeout time.Duration, h http.HandlerFunc, ask func(t *testing.T, c *http.Client, url string)) {
	t.Helper()
	filter := withDeadline(h, lasting, codecs(), time.Second)
	chain := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := request.WithRequestInfo(r.Context(), &info)
		if timeout != 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		filter.ServeHTTP(w, r.WithContext(ctx))
	})
	for name, two := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(chain)
			srv.EnableHTTP2 = two
			srv.StartTLS()
			defer srv.Close()
			ask(t, srv.Client(), srv.URL)
		})
	}
}

// stalled is a body of which only the beginning comes.
func stalled(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	go fmt.Fprint(w, `{"kind":`) // the reader may be gone
	return r
}

func wantTimeout(t *testing.T, resp *http.Response, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var status metav1.Status
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusGatewayTimeout || status.Reason != metav1.StatusReasonTimeout || status.Message != "Timeout: request did not complete within the allotted timeout" {
		t.Errorf("answered %d, %+v", resp.StatusCode, status)
	}
}

// readsBody is a handler as the library's: what it cannot read is its error.
func readsBody(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		responsewriters.ErrorNegotiated(err, codecs(), groupVersion(r), w, r)
		return
	}
	fmt.Fprint(w, "done")
}

func TestABodyThatDoesNotComeIsATimeout(t *testing.T) {
	post := request.RequestInfo{Verb: "create", APIVersion: "v1"}
	serve(t, post, 100*time.Millisecond, readsBody, func(t *testing.T, c *http.Client, url string) {
		resp, err := c.Post(url, "application/json", stalled(t))
		wantTimeout(t, resp, err)
	})
	serve(t, post, time.Minute, readsBody, func(t *testing.T, c *http.Client, url string) {
		for range 2 { // the deadline of one is not that of the next on its connection
			resp, err := c.Post(url, "application/json", bytes.NewReader(make([]byte, 1<<20)))
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "done" {
				t.Errorf("%q, %v", body, err)
			}
			resp.Body.Close()
		}
	})
}

func TestAnAnswerThatNobodyReadsEndsAtTheDeadline(t *testing.T) {
	ended := make(chan struct{}, 1)
	endless := func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for {
			if _, err := w.Write(chunk); err != nil {
				ended <- struct{}{}
				return
			}
		}
	}
	serve(t, request.RequestInfo{Verb: "list", APIVersion: "v1"}, 50*time.Millisecond, endless, func(t *testing.T, c *http.Client, url string) {
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Error("it is still written")
		}
	})
	serve(t, request.RequestInfo{Verb: "watch", APIVersion: "v1"}, 0, endless, func(t *testing.T, c *http.Client, url string) {
		resp, err := c.Get(url + "?timeoutSeconds=1")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Error("the watch is still written")
		}
	})
}

func TestWhatFailsAfterTheDeadlineIsATimeout(t *testing.T) {
	for what, h := range map[string]http.HandlerFunc{
		"a storage that gave up": func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			responsewriters.ErrorNegotiated(r.Context().Err(), codecs(), groupVersion(r), w, r)
		},
		"an answer of its own": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.Header().Set("Content-Encoding", "gzip")
			<-r.Context().Done()
			http.Error(w, "???", http.StatusInternalServerError)
		},
	} {
		t.Log(what)
		serve(t, request.RequestInfo{Verb: "get", APIVersion: "v1"}, 50*time.Millisecond, h, func(t *testing.T, c *http.Client, url string) {
			resp, err := c.Get(url)
			wantTimeout(t, resp, err)
		})
	}
}

func TestWhatDoesNotFailIsAnswered(t *testing.T) {
	for what, tc := range map[string]struct {
		info request.RequestInfo
		h    http.HandlerFunc
		code int
	}{
		"not found after the deadline": {request.RequestInfo{Verb: "get"}, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			w.WriteHeader(http.StatusNotFound)
		}, http.StatusNotFound},
		"an error before it": {request.RequestInfo{Verb: "get"}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		}, http.StatusInternalServerError},
		"a stream": {request.RequestInfo{Verb: "create", Subresource: "exec"}, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			w.WriteHeader(http.StatusBadGateway)
		}, http.StatusBadGateway},
	} {
		timeout := 50 * time.Millisecond
		if tc.code == http.StatusInternalServerError {
			timeout = time.Minute
		}
		serve(t, tc.info, timeout, tc.h, func(t *testing.T, c *http.Client, url string) {
			resp, err := c.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tc.code {
				t.Errorf("%s: answered %d", what, resp.StatusCode)
			}
		})
	}
}

func TestARequestThatComesLateIsNotServed(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(request.WithRequestInfo(ctx, &request.RequestInfo{Verb: "get", APIVersion: "v1"}))
	w := httptest.NewRecorder()
	WithDeadline(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is served") }), lasting, codecs()).ServeHTTP(w, r)
	wantTimeout(t, w.Result(), nil)
}

func TestTheEndOfAWatch(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"": time.Hour, "?timeoutSeconds=90": 90 * time.Second, "?timeoutSeconds=0": time.Hour, "?timeoutSeconds=-1": time.Hour,
		"?timeoutSeconds=x": time.Hour, "?timeoutSeconds=9223372036854775807": time.Hour,
	} {
		if got := watchLength(httptest.NewRequest(http.MethodGet, "/"+query, nil)); got != want {
			t.Errorf("%q: %s", query, got)
		}
	}
}

func TestAnErrorOfTheBodyIsKept(t *testing.T) {
	broken := errors.New("broken")
	if _, err := (&timedBody{io.NopCloser(&failing{broken})}).Read(nil); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func TestALongAnswerGivesOthersTheirTurn(t *testing.T) {
	w := &timedWriter{ResponseWriter: httptest.NewRecorder(), request: httptest.NewRequest(http.MethodGet, "/", nil)}
	before := time.Now()
	fmt.Fprint(w, "a")
	first := w.turn
	if first.Before(before) {
		t.Error("nobody has a turn at the first write")
	}
	w.turn = before.Add(-turn)
	fmt.Fprint(w, "b")
	if w.turn.Before(first) {
		t.Error("nobody has a turn a millisecond later")
	}
	later := time.Now().Add(time.Hour)
	w.turn = later
	if fmt.Fprint(w, "c"); !w.turn.Equal(later) {
		t.Error("there is a turn at every write")
	}
}
