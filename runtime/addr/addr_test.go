package addr

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

// A list of one is the text that files had before they were lists.
func TestTextOfLists(t *testing.T) {
	type file struct {
		NodeIPs IPs      `json:"nodeIP,omitempty"`
		CIDRs   Prefixes `json:"clusterCIDR"`
	}
	for text, want := range map[string]file{
		`{"nodeIP":"192.0.2.1","clusterCIDR":"10.244.0.0/16"}`:                    {MustIPs("192.0.2.1"), MustPrefixes("10.244.0.0/16")},
		`{"nodeIP":"192.0.2.1,2001:db8::1","clusterCIDR":"10.0.0.0/8,fd00::/48"}`: {MustIPs("192.0.2.1,2001:db8::1"), MustPrefixes("10.0.0.0/8,fd00::/48")},
		`{"clusterCIDR":""}`: {},
	} {
		out, err := json.Marshal(want)
		if err != nil || string(out) != text {
			t.Errorf("%v is written as %s (%v), not as %s", want, out, err, text)
		}
		var got file
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.NodeIPs.String() != want.NodeIPs.String() || got.CIDRs.String() != want.CIDRs.String() {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{`{"nodeIP":"x"}`: `"x" is not an IP address`, `{"clusterCIDR":"10.0.0.0/8,x"}`: `"x" is not a CIDR`, `{"nodeIP":"192.0.2.1,"}`: `"" is not`} {
		if err := json.Unmarshal([]byte(text), &file{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct{ ips, says string }{
		{"192.0.2.1", ""}, {"", "required"}, {"fd00::1", "is not IPv4"}, {"192.0.2.1,fd00::1", "second address (family) is not supported yet"},
	} {
		checkError(t, tc.ips, MustIPs(tc.ips).Check(), tc.says)
	}
	for _, tc := range []struct{ cidrs, says string }{
		{"10.0.0.0/8", ""}, {"", "required"}, {"10.0.0.1/8", "did you mean 10.0.0.0/8?"}, {"fd00::/48", "is not IPv4"},
		{"10.0.0.0/8,fd00::/48", "second address (family) is not supported yet"}, {"10.0.0.0/8,fd00::1/48", "did you mean fd00::/48?"},
	} {
		checkError(t, tc.cidrs, MustPrefixes(tc.cidrs).Check(), tc.says)
	}
}

func checkError(t *testing.T, of string, err error, says string) {
	t.Helper()
	if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
		t.Errorf("%q: %v, want %q", of, err, says)
	}
}

func TestFamilies(t *testing.T) {
	ips, cidrs := MustIPs("fd00::1,192.0.2.1"), MustPrefixes("fd00::/48,10.0.0.0/8")
	if ips.First().String() != "fd00::1" || ips.V4().String() != "192.0.2.1" || cidrs.First().String() != "fd00::/48" || cidrs.V4().String() != "10.0.0.0/8" {
		t.Errorf("first and IPv4 of %s and %s: %s %s %s %s", ips, cidrs, ips.First(), ips.V4(), cidrs.First(), cidrs.V4())
	}
	if IPs(nil).First().IsValid() || MustIPs("fd00::1").V4().IsValid() || Prefixes(nil).First().IsValid() || MustPrefixes("fd00::/8").V4().IsValid() {
		t.Error("a list without one has one")
	}
	if s := ips.Strings(); len(s) != 2 || s[1] != "192.0.2.1" {
		t.Errorf("%q", s)
	}
	if s := cidrs.Strings(); len(s) != 2 || s[1] != "10.0.0.0/8" {
		t.Errorf("%q", s)
	}
	for ip, want := range map[string]bool{"10.1.1.1": true, "fd00::5": true, "11.0.0.0": false} {
		if cidrs.Contains(netip.MustParseAddr(ip)) != want {
			t.Errorf("%s in %s: not %v", ip, cidrs, want)
		}
	}
	for p, want := range map[string]bool{"0.0.0.0/0": true, "10.2.0.0/16": true, "11.0.0.0/8": false} {
		if cidrs.Overlaps(netip.MustParsePrefix(p)) != want {
			t.Errorf("%s overlaps %s: not %v", p, cidrs, want)
		}
	}
}
