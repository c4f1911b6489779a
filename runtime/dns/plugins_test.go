package dns

import (
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"k8s.io/client-go/rest"
)

// TestCoreDNSKnowsTheDirectives of the configuration, in the order in which they are to be
// asked: what answers for the cluster before what forwards.
func TestCoreDNSKnowsTheDirectives(t *testing.T) {
	register(&rest.Config{Host: "https://192.0.2.1:6443"})
	if !caddy.Quiet || !dnsserver.Quiet {
		t.Error("CoreDNS prints a banner")
	}
	for _, upstreams := range [][]string{nil, {"192.0.2.53"}} {
		for line := range strings.Lines(Corefile(cfg, upstreams)) {
			if !strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "     ") || strings.TrimSpace(line) == "}" {
				continue // not a directive of a block, but the block or what a directive has
			}
			name := strings.Fields(line)[0]
			if !slices.Contains(dnsserver.Directives, name) {
				t.Errorf("%s has no place among the directives", name)
			}
			if _, err := caddy.DirectiveAction("dns", name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	at := func(name string) int { return slices.Index(dnsserver.Directives, name) }
	if !(at("cache") < at(kubernetesDirective) && at(kubernetesDirective) < at("forward") && at("forward") < at(nowhereDirective)) {
		t.Errorf("the order is %v", dnsserver.Directives)
	}
}

func TestTheClientOfCoreDNSIsOurs(t *testing.T) {
	r := restConfig{&rest.Config{Host: "https://192.0.2.1:6443"}}
	got, err := r.ClientConfig()
	if err != nil || got.Host != r.cfg.Host || got == r.cfg {
		t.Errorf("%+v, %v: want a copy", got, err)
	}
	if ns, overridden, err := r.Namespace(); ns != "default" || overridden || err != nil {
		t.Errorf("namespace %q (%v), %v", ns, overridden, err)
	}
}
