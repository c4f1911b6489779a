package podfiles

import (
	"slices"
	"strings"
	"testing"
)

// FuzzParseResolver: a host's resolv.conf of any content gives one that a C library reads
// to the same servers, and noise before a line takes nothing from it.
func FuzzParseResolver(f *testing.F) {
	f.Add("# comment\nsearch a b\noptions ndots:5\n", "10.0.0.1")
	f.Add(strings.Repeat("x", 1<<17)+"\nnameserver\n", "fd00::1")
	f.Add("nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n", "4.4.4.4")
	f.Fuzz(func(t *testing.T, noise, server string) {
		if len(strings.Fields(server)) != 1 || strings.TrimSpace(server) != server {
			t.Skip("one word")
		}
		r := parseResolver(noise + "\nnameserver " + server + "\n")
		if n := len(r.servers); n == 0 || r.servers[n-1] != server {
			t.Fatalf("servers %q, want %q last", r.servers, server)
		}
		again := parseResolver(r.String())
		if !slices.Equal(again.servers, r.servers[:min(len(r.servers), maxNameservers)]) {
			t.Errorf("written and read again: %q, before %q", again.servers, r.servers)
		}
	})
}
