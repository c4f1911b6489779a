package dns

import (
	"log/slog"
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
	got, _ := Upstreams([]string{file, "192.0.2.3:5353", "/does/not/exist"}, "", cfg.Addresses)
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
	got, _ := Upstreams([]string{"10.96.0.10", "10.96.0.10:53", "10.96.0.10:5353", file}, "", cfg.Addresses)
	if want := []string{"10.96.0.10:5353", "127.0.0.53"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The stub of systemd-resolved is no way round in a circle, where that has cluster DNS among
// its servers; and who is left without any is told.
func TestTheStubIsNoWayBack(t *testing.T) {
	for name, c := range map[string]struct {
		etc, resolved string
		want          []string
		warned        string
	}{
		"a stub":                       {"nameserver 127.0.0.53\n", "nameserver 192.0.2.1\n", []string{"127.0.0.53"}, ""},
		"a stub without the file":      {"nameserver 127.0.0.53\n", "", []string{"127.0.0.53"}, ""},
		"cluster DNS behind it":        {"nameserver 127.0.0.53\n", "nameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n", []string{"192.0.2.1", "192.0.2.2"}, ""},
		"behind the other address":     {"nameserver 127.0.0.54\n", "nameserver 10.96.0.10\nnameserver 192.0.2.1\n", []string{"192.0.2.1"}, ""},
		"behind it, and others beside": {"nameserver 127.0.0.53\nnameserver 192.0.2.1\n", "nameserver 10.96.0.10\nnameserver 192.0.2.1\n", []string{"192.0.2.1"}, ""},
		"behind both":                  {"nameserver 127.0.0.53\nnameserver 127.0.0.54\n", "nameserver 192.0.2.1\nnameserver 10.96.0.10\n", []string{"192.0.2.1"}, ""},
		"only that behind it":          {"nameserver 127.0.0.53\n", "nameserver 10.96.0.10\n", nil, "dropped=[127.0.0.53]"},
		"only itself":                  {"nameserver 10.96.0.10\n", "nameserver 192.0.2.1\n", nil, "dropped=[10.96.0.10]"},
		"another resolver of the host": {"nameserver 127.0.0.1\n", "nameserver 10.96.0.10\n", []string{"127.0.0.1"}, ""},
		"none at all":                  {"", "", nil, ""},
	} {
		dir := t.TempDir()
		etc, resolved := filepath.Join(dir, "etc"), filepath.Join(dir, "resolved")
		for path, content := range map[string]string{etc: c.etc, resolved: c.resolved} {
			if content == "" {
				continue
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var log strings.Builder
		s := &Server{cfg: cfg, log: slog.New(slog.NewTextHandler(&log, nil))}
		s.cfg.Upstreams = []string{etc}
		if got := s.upstreams(resolved); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if said := log.String(); (said == "") != (c.warned == "") || !strings.Contains(said, c.warned) {
			t.Errorf("%s: it says %q", name, said)
		}
	}
}
