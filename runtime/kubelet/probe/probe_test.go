package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func TestHTTPGet(t *testing.T) {
	var last *http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = r
		code, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			code = http.StatusOK
		}
		if code == http.StatusFound {
			w.Header().Set("Location", "/500")
			if r.URL.RawQuery == "away" {
				w.Header().Set("Location", "http://198.51.100.1/")
			}
		}
		w.WriteHeader(code)
	}))
	defer srv.Close()
	host, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	target := Target{IP: host, Container: &corev1.Container{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(n)}}}}
	for path, want := range map[string]string{
		"/200": "", "200": "", "/399": "terminated redirects", "/400": "statuscode: 400", "/500": "statuscode: 500",
		"/302":      "statuscode: 500",      // followed on the same host
		"/302?away": "terminated redirects", // not to another one: the redirect itself is the answer
	} {
		path, query, _ := strings.Cut(path, "?")
		get := &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web")}
		if query != "" {
			get.Path += "?" + query
		}
		err := HTTPGet(t.Context(), get, target, "agent/1")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", get.Path, err, want)
		}
		if warning := (*Warning)(nil); errors.As(err, &warning) != (want == "terminated redirects") {
			t.Errorf("%s: %v: what is a redirect did not fail, and nothing else is a warning", get.Path, err)
		}
	}
	get := &corev1.HTTPGetAction{Path: "/x", Host: host, Port: intstr.FromInt(n), HTTPHeaders: []corev1.HTTPHeader{{Name: "host", Value: "name"}, {Name: "X-A", Value: "1"}}}
	if err := HTTPGet(t.Context(), get, Target{IP: "198.51.100.1"}, "agent/1"); err != nil {
		t.Fatal(err)
	}
	if last.Host != "name" || last.Header.Get("X-A") != "1" || last.UserAgent() != "agent/1" || last.URL.Path != "/x" {
		t.Errorf("asked %s of %s as %s with %v", last.URL, last.Host, last.UserAgent(), last.Header)
	}
}

func TestTCPConnect(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	p := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(port)}}}
	if err := (Prober{}).Probe(t.Context(), p, Target{IP: "127.0.0.1"}); err != nil {
		t.Errorf("an open port: %v", err)
	}
	ln.Close()
	if err := (Prober{}).Probe(t.Context(), p, Target{IP: "127.0.0.1"}); err == nil {
		t.Error("a closed port is a success")
	}
	p.TCPSocket.Port = intstr.FromString("none")
	if err := (Prober{}).Probe(t.Context(), p, Target{IP: "127.0.0.1", Container: &corev1.Container{Name: "c"}}); err == nil || !strings.Contains(err.Error(), `no port named "none"`) {
		t.Errorf("a port without a number: %v", err)
	}
}

// commands runs commands on paper.
type commands struct {
	code  int
	err   error
	lasts time.Duration
	out   string
}

func (c commands) Exec(ctx context.Context, _ string, _ []string, s container.Streams) (int, error) {
	if _, err := s.Out.Write([]byte(c.out)); err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(c.lasts):
	}
	return c.code, c.err
}

func TestExec(t *testing.T) {
	for name, c := range map[string]struct {
		run  commands
		want string
	}{
		"ends well":    {commands{out: "fine"}, ""},
		"ends badly":   {commands{code: 1, out: "why"}, "why"},
		"cannot start": {commands{err: errors.New("no such file")}, "no such file"},
		"in time":      {commands{lasts: 1900 * time.Millisecond}, ""},
		"too long":     {commands{lasts: 2100 * time.Millisecond}, `"do it" timed out`},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &corev1.Probe{TimeoutSeconds: 2, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"do", "it"}}}}
			err := Prober{c.run}.Probe(t.Context(), p, Target{})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		})
	}
	if out, _, err := Exec(t.Context(), commands{out: strings.Repeat("x", maxOutput+1)}, "id", nil); err != nil || len(out) != maxOutput {
		t.Errorf("%d bytes of output are kept, %v", len(out), err)
	}
	if err := (Prober{}).Probe(t.Context(), &corev1.Probe{}, Target{}); err == nil {
		t.Error("a probe without an action is a success")
	}
}
