package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// cut is a transport that no master accepts a connection of until healed.
type cut struct {
	healed time.Time
	asked  []string // bodies
}

func (c *cut) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
		req.Body.Close()
	}
	c.asked = append(c.asked, body)
	if time.Now().Before(c.healed) {
		return nil, fmt.Errorf("%w: a:1: no route to host", ErrNoMaster)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestWhoIsPatientWaitsForAMaster(t *testing.T) {
	for what, tc := range map[string]struct {
		method, query string
		marked, waits bool
		want          bool
	}{
		"a watch":                                 {http.MethodGet, "watch=true&resourceVersion=7", false, true, true},
		"a reflector's first list":                {http.MethodGet, "limit=500&resourceVersion=0", false, true, true},
		"its list after the version was too old":  {http.MethodGet, "limit=500", false, true, true},
		"its list of a later version":             {http.MethodGet, "resourceVersion=7", false, true, true},
		"one object":                              {http.MethodGet, "", false, true, false},
		"a write":                                 {http.MethodPatch, "fieldManager=x", false, true, false},
		"a delete of many":                        {http.MethodDelete, "limit=1", false, true, false},
		"a write whose maker waits":               {http.MethodPatch, "", true, true, true},
		"the same of a client that does not wait": {http.MethodPatch, "", true, false, false},
		"a watch of one that does not":            {http.MethodGet, "watch=true", false, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if tc.marked {
				ctx = Patient(ctx)
			}
			req, err := http.NewRequestWithContext(ctx, tc.method, "https://gantry/api?"+tc.query, strings.NewReader("patch"))
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			c := &cut{healed: begin.Add(55*time.Second + time.Millisecond)}
			_, err = judge{NewDialer([]string{"a:1"}, (&network{}).dial), tc.waits, c}.RoundTrip(req)
			took := time.Since(begin)
			if !tc.want {
				if !errors.Is(err, ErrNoMaster) || len(c.asked) != 1 || took != 0 {
					t.Errorf("%s: %v after %s and %d attempts", what, err, took, len(c.asked))
				}
				return
			}
			if err != nil || took < 55*time.Second || took > 55*time.Second+redial {
				t.Errorf("%s: %v after %s", what, err, took)
			}
			for _, body := range c.asked {
				if body != "patch" {
					t.Errorf("%s: sent again with the body %q", what, body)
				}
			}
		})
	}
}

func TestAPatientRequestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(Patient(t.Context()), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://gantry/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		c := &cut{healed: begin.Add(time.Hour)}
		_, err = judge{NewDialer([]string{"a:1"}, (&network{}).dial), true, c}.RoundTrip(req)
		if took := time.Since(begin); !errors.Is(err, ErrNoMaster) || !errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestAnotherRequestThatConnectsEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{up: map[string]bool{"a:1": true}}
		d := NewDialer([]string{"a:1"}, n.dial)
		req, err := http.NewRequestWithContext(Patient(t.Context()), http.MethodGet, "https://gantry/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		done := make(chan time.Duration)
		go func() {
			_, err := judge{d, true, &cut{healed: begin.Add(300 * time.Millisecond)}}.RoundTrip(req)
			if err != nil {
				t.Error(err)
			}
			done <- time.Since(begin)
		}()
		time.Sleep(400 * time.Millisecond)
		var c net.Conn
		if c, err = d.DialContext(t.Context(), "tcp", ""); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if took := <-done; took != 400*time.Millisecond {
			t.Errorf("it waited for %s", took)
		}
	})
}
