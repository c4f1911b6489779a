package inventory

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

// FuzzParseLogin: whatever is read has an address and a port that can be dialled, and
// is read again from what it is written as.
func FuzzParseLogin(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "u@h.example.org:2222", "[2001:db8::1]:22", "2001:db8::1", "a@", ":22", "[]:22", "[[::1]]", "u@[h]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseLogin(s)
		if err != nil {
			return
		}
		if h.Address == "" || strings.ContainsAny(h.Address, " /@") || h.SSH.Port < 0 || h.SSH.Port > 65535 {
			t.Errorf("%q is read as %+v", s, h)
		}
		if h.SSH.Port == 0 || strings.ContainsAny(h.Address, "[]%") {
			return
		}
		again := net.JoinHostPort(h.Address, strconv.Itoa(h.SSH.Port))
		if h.SSH.User != "" {
			again = h.SSH.User + "@" + again
		}
		if got, err := ParseLogin(again); err != nil || got.Address != h.Address || got.SSH != h.SSH {
			t.Errorf("%q is read as %+v, written as %q and read as %+v, %v", s, h, again, got, err)
		}
	})
}

// FuzzParseHosts: whatever stands in other lines, a server in a line of its own is read,
// and each server that is read has its name and an address.
func FuzzParseHosts(f *testing.F) {
	f.Add("a 10.0.0.1\nb=u@10.0.0.2, 10.0.0.3 # x\n[g]\nc ansible_host=10.0.0.4", "g")
	f.Add("[a:children]\n[[]]\n[]:22\n=\n,,;", "")
	f.Add("a=b=c d=e=f\n]:\n[x", "x")
	f.Fuzz(func(t *testing.T, text, group string) {
		hosts, _ := ParseHosts(text+"\nown-line 192.0.2.77\n", nil)
		if h := hosts["own-line"]; h.Address != "192.0.2.77" {
			t.Errorf("the last line of %q is read as %+v", text, h)
		}
		for name, h := range hosts {
			if h.Name != name || h.Address == "" || h.SSH.Port < 0 || h.SSH.Port > 65535 {
				t.Errorf("%q: %q is %+v", text, name, h)
			}
		}
		some, _ := ParseHosts(text, []string{group})
		all, _ := ParseHosts(text, nil)
		for name := range some {
			if _, ok := all[name]; !ok {
				t.Errorf("%q: %q is in the group %q only", text, name, group)
			}
		}
	})
}
