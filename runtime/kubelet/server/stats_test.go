package server

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatPodsUse(t *testing.T) {
	s, n := newServer(t)
	for _, c := range []struct {
		path, user string
		want       int
		has        string
	}{
		{"/stats/summary", "admin", 200, `"fs"`},
		{"/stats/summary?only_cpu_and_memory=true", "admin", 200, `"nodeName": "n"`},
		{"/stats/summary", "prometheus", 403, ""},
		{"/stats/summary", "", 401, ""},
		{"/metrics/resource", "prometheus", 200, "node_cpu_usage_seconds_total 1\n"},
		{"/metrics/cadvisor", "prometheus", 200, `container_cpu_usage_seconds_total{container="",namespace="",pod=""} 1`},
		{"/metrics/resource", "reader", 403, ""},
		{"/metrics/cadvisor", "getter", 403, ""},
		{"/metrics/nothing", "admin", 404, ""},
	} {
		if code, body := get(s, c.path, c.user); code != c.want || !strings.Contains(body, c.has) {
			t.Errorf("%s by %q: %d %s", c.path, c.user, code, body)
		}
	}
	if _, body := get(s, "/stats/summary?only_cpu_and_memory=true", "admin"); strings.Contains(body, `"fs"`) {
		t.Errorf("only processors and memory: %s", body)
	}
	n.err = errors.New("containerd is away")
	if code, body := get(s, "/stats/summary", "admin"); code != 500 || !strings.Contains(body, "containerd is away") {
		t.Errorf("without the runtime: %d %s", code, body)
	}
	if code, body := get(s, "/metrics/resource", "prometheus"); code != 200 || !strings.Contains(body, "resource_scrape_error 1") {
		t.Errorf("without the runtime: %d %s", code, body)
	}
}
