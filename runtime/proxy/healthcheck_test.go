package proxy

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/addr"
)

// ask asks a health check as a load balancer does; 0: nobody listens.
func ask(t *testing.T, address string) (status int, weight, body string) {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + address + "/healthz")
	if err != nil {
		return 0, "", ""
	}
	defer resp.Body.Close()
	var all json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Error(err)
	}
	return resp.StatusCode, resp.Header.Get("X-Load-Balancing-Endpoint-Weight"), string(all)
}

func TestHealthChecksAreServed(t *testing.T) {
	var sick error
	h := newHealthChecks(addr.MustIPs("127.0.0.1"), func() error { return sick }, slog.New(slog.DiscardHandler))
	defer h.close()
	where := map[string]string{} // by the port that is asked for
	h.listen = func(network, address string) (net.Listener, error) {
		if address == "127.0.0.1:31666" {
			return nil, errors.New("in use")
		}
		l, err := net.Listen(network, "127.0.0.1:0")
		if err == nil {
			where[strings.TrimPrefix(address, "127.0.0.1:")] = l.Addr().String()
		}
		return l, err
	}
	name := types.NamespacedName{Namespace: "ns", Name: "edge"}
	for _, step := range []struct {
		what   string
		check  *HealthCheck
		sick   error
		port   string // asked
		status int
		weight string
	}{
		{"two endpoints", &HealthCheck{31000, 2}, nil, "31000", 200, "2"},
		{"none", &HealthCheck{31000, 0}, nil, "31000", 503, "0"},
		{"one again", &HealthCheck{31000, 1}, nil, "31000", 200, "1"},
		{"the rules are not in force", &HealthCheck{31000, 1}, errors.New("starting"), "31000", 503, "1"},
		{"another port", &HealthCheck{31001, 1}, nil, "31001", 200, "1"},
		{"and no more the first", &HealthCheck{31001, 1}, nil, "31000", 0, ""},
		{"a port that is taken", &HealthCheck{31666, 1}, nil, "31001", 0, ""},
		{"a free one", &HealthCheck{31002, 1}, nil, "31002", 200, "1"},
		{"no more", nil, nil, "31002", 0, ""},
		{"still not", nil, nil, "31002", 0, ""},
	} {
		sick = step.sick
		h.set(name, step.check)
		status, weight, body := ask(t, where[step.port])
		if status != step.status || weight != step.weight {
			t.Errorf("%s: status %d and weight %q, want %d and %q", step.what, status, weight, step.status, step.weight)
		}
		if status == 200 && body != `{"service":{"namespace":"ns","name":"edge"},"localEndpoints":`+weight+`,"serviceProxyHealthy":true}` {
			t.Errorf("%s: %s", step.what, body)
		}
	}
	h.set(name, &HealthCheck{31003, 1})
	h.close()
	if status, _, _ := ask(t, where["31003"]); status != 0 || len(h.servers) > 0 {
		t.Errorf("after the end: %d", status)
	}
}
