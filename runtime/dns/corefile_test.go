package dns

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

var cfg = config.DNSConfig{Addresses: addr.MustIPs("10.96.0.10"), Domain: "cluster.local", ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16"), ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16")}

func TestClusterNamesStayInside(t *testing.T) {
	got := Corefile(cfg, []string{"192.0.2.53"})
	cluster, rest, ok := strings.Cut(got, "}\n}\n")
	if !ok || strings.Contains(cluster, "forward") {
		t.Errorf("the cluster's zones are forwarded:\n%s", got)
	}
	if !strings.Contains(rest, "forward . 192.0.2.53") {
		t.Errorf("other names are not forwarded:\n%s", got)
	}
}

func TestWithoutUpstreamOtherNamesDoNotExist(t *testing.T) {
	if got := Corefile(cfg, nil); strings.Contains(got, "forward") || !strings.Contains(got, nowhereDirective) {
		t.Errorf("got:\n%s", got)
	}
}

func TestUpstreams(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := Upstreams([]string{file, "192.0.2.3:5353", "/does/not/exist"}, cfg.Addresses)
	if want := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3:5353"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A host's own resolver is asked at its loopback address; cluster DNS is not to ask itself.
func TestAServerIsNotItsOwnUpstream(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver 10.96.0.10\nnameserver 127.0.0.53\nnameserver ::ffff:10.96.0.10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := Upstreams([]string{"10.96.0.10", "10.96.0.10:53", "10.96.0.10:5353", file}, cfg.Addresses)
	if want := []string{"10.96.0.10:5353", "127.0.0.53"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
