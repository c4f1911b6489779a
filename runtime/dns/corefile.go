package dns

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// Corefile is CoreDNS's configuration. Names of the cluster never go upstream;
// with no upstream, no other name exists (an answer at once beats a time-out on
// servers without a way out).
//
// As upstream's, it caches no name of the cluster: those are in memory anyway, and a pod
// that moved, or a Service that was just made, is not to be told of half a minute later.
func Corefile(cfg config.DNSConfig, upstreams []string) string {
	var b strings.Builder
	block := func(zones string, lines ...string) {
		fmt.Fprintf(&b, "%s {\n    bind %s\n    errors\n    loop\n    "+metricsDirective+"\n", zones, strings.Join(cfg.Addresses.Strings(), " "))
		for _, l := range lines {
			fmt.Fprintf(&b, "    %s\n", l)
		}
		b.WriteString("}\n")
	}
	zones := strings.Join(slices.Concat([]string{cfg.Domain}, cfg.ServiceCIDRs.Strings(), cfg.ClusterCIDRs.Strings()), " ")
	block(zones, kubernetesDirective+" "+zones+" {", "    pods insecure", "    ttl 30", "}")
	if len(upstreams) == 0 {
		block(".", nowhereDirective)
	} else {
		block(".", "cache 30", "forward . "+strings.Join(upstreams, " "))
	}
	return b.String()
}

// Upstreams resolves the configured list: a resolv.conf path stands for the name
// servers it lists, which may be none. The server runs on the host's network, where a
// loopback address is a resolver of the host and as good as any. It is no upstream of its
// own: where a host has cluster DNS among its resolvers, queries would go round in a
// circle, and CoreDNS ends at the first that it sees come back. The stub of systemd-resolved
// is such a way back where resolved, the file in which that names the servers that it asks,
// has an own address: the others in there are asked in its place. Dropped are those left out.
func Upstreams(configured []string, resolved string, own addr.IPs) (upstreams, dropped []string) {
	circle := func(u string) bool { return isOwn(u, own) }
	for _, u := range configured {
		listed := []string{u}
		if strings.HasPrefix(u, "/") {
			listed = nameservers(u)
		}
		for _, u := range listed {
			var instead []string
			switch behind := nameservers(resolved); {
			case circle(u):
				dropped = append(dropped, u)
			case isStub(u) && slices.ContainsFunc(behind, circle):
				dropped = append(dropped, u)
				instead = slices.DeleteFunc(behind, func(u string) bool { return circle(u) || isStub(u) })
			default:
				instead = []string{u}
			}
			upstreams = append(upstreams, slices.DeleteFunc(instead, func(u string) bool { return slices.Contains(upstreams, u) })...)
		}
	}
	return upstreams, dropped
}

// isStub reports whether an upstream is an address at which systemd-resolved answers.
func isStub(upstream string) bool {
	host := strings.TrimSuffix(upstream, ":53")
	return host == "127.0.0.53" || host == "127.0.0.54"
}

// isOwn reports whether an upstream, with its port or without, is one of the addresses.
func isOwn(upstream string, own addr.IPs) bool {
	if at, err := netip.ParseAddrPort(upstream); err == nil {
		return at.Port() == 53 && slices.Contains(own, at.Addr().Unmap())
	}
	ip, err := netip.ParseAddr(upstream)
	return err == nil && slices.Contains(own, ip.Unmap())
}

func nameservers(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []string
	for scan := bufio.NewScanner(f); scan.Scan(); {
		if fields := strings.Fields(scan.Text()); len(fields) > 1 && fields[0] == "nameserver" {
			out = append(out, fields[1])
		}
	}
	return out
}
