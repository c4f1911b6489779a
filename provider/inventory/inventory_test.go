package inventory

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// shown is a host as name=user@address:port, without what is not set.
func shown(h spec.Host) string {
	s := h.Name + "="
	if h.SSH.User != "" {
		s += h.SSH.User + "@"
	}
	s += h.Address
	if h.SSH.Port != 0 {
		s += ":" + strconv.Itoa(h.SSH.Port)
	}
	return s
}

func TestListsOfServersAreRead(t *testing.T) {
	const ini = `
; an inventory
[masters]
master-1 ansible_host=10.0.0.11 ansible_user=admin   # the first
[workers]
worker-1 ansible_host=10.0.0.21 ansible_port=2222
worker-2 10.0.0.22
10.0.0.23
`
	for name, c := range map[string]struct {
		text   string
		groups []string
		want   string
	}{
		"nothing":           {"\n  \n# a comment\n", nil, ""},
		"one a line":        {"10.0.0.1\nroot@10.0.0.2:2222\n", nil, "node-10-0-0-1=10.0.0.1 node-10-0-0-2=root@10.0.0.2:2222"},
		"with commas":       {"a=10.0.0.1, b=u@10.0.0.2,c=h.example.org:22", nil, "a=10.0.0.1 b=u@10.0.0.2 c=h.example.org:22"},
		"names of DNS":      {"Web-1.example.org", nil, "web-1=Web-1.example.org"},
		"names before":      {"a 10.0.0.1\r\nb u@10.0.0.2", nil, "a=10.0.0.1 b=u@10.0.0.2"},
		"all of an INI":     {ini, nil, "master-1=admin@10.0.0.11 node-10-0-0-23=10.0.0.23 worker-1=10.0.0.21:2222 worker-2=10.0.0.22"},
		"a group":           {ini, []string{"masters"}, "master-1=admin@10.0.0.11"},
		"twice in groups":   {"[a]\nx 10.0.0.1\n[b]\nx 10.0.0.1", nil, "x=10.0.0.1"},
		"groups of no host": {"[a]\n[b]\nx 10.0.0.1", []string{"a"}, ""},
		"two groups":        {"y 10.0.0.9\n[a]\nx 10.0.0.1\n[ b ]\nz 10.0.0.3\n[c]\nw 10.0.0.4", []string{"a", "b"}, "x=10.0.0.1 z=10.0.0.3"},
		"IPv6":              {"[2001:db8::1]:22\n2001:db8::2", nil, "node-2001-db8--1=2001:db8::1:22 node-2001-db8--2=2001:db8::2"},
		"IPv6, in a list":   {"[2001:db8::1]:22, [2001:db8::2]", nil, "node-2001-db8--1=2001:db8::1:22 node-2001-db8--2=2001:db8::2"},
		"no group line":     {"[a", nil, "a=a"},
		"quotes":            {`a ansible_host="10.0.0.1" ansible_user='admin'`, nil, "a=admin@10.0.0.1"},
		"variables win":     {"a u@10.0.0.1:22 ansible_user=v ansible_port=23", nil, "a=v@10.0.0.1:23"},
		"a name and a host": {"a=10.0.0.1 ansible_host=10.0.0.2", nil, "a=10.0.0.2"},
		"only a variable":   {"10.0.0.1 ansible_user=v", nil, "node-10-0-0-1=v@10.0.0.1"},
		"other variables":   {"a ansible_host=10.0.0.1 rack=7", nil, "a=10.0.0.1"},
	} {
		got, err := ParseHosts(c.text, c.groups)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var all []string
		for _, n := range slices.Sorted(maps.Keys(got)) {
			all = append(all, shown(got[n]))
		}
		if s := strings.Join(all, " "); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}

func TestWhatCannotBeReadOfAListIsTold(t *testing.T) {
	for want, text := range map[string]string{
		`line 2: "10.0.0.1:ssh": "ssh" is not a port`:             "\n10.0.0.1:ssh",
		`line 1: "@10.0.0.1": expected [user@]address[:port]`:     "@10.0.0.1",
		"line 2: a is listed twice":                               "a 10.0.0.1\na 10.0.0.1",
		"line 2: a is 10.0.0.1 and 10.0.0.2":                      "a 10.0.0.1\na 10.0.0.2",
		`line 1: "a 10.0.0.1 b" was not understood`:               "a 10.0.0.1 b",
		"line 1: [w:children]: only groups that list their hosts": "[w:children]\nmasters",
		`line 1: "x" is not a port`:                               "a ansible_host=10.0.0.1 ansible_port=x",
		`line 1: "0" is not a port`:                               "a ansible_host=10.0.0.1 ansible_port=0",
		"line 3: b is listed twice":                               "a 10.0.0.1\nb 10.0.0.2\nb 10.0.0.2",
		"there is no group [q]":                                   "10.0.0.1",
	} {
		var groups []string
		if strings.Contains(want, "no group") {
			groups = []string{"q"}
		}
		if _, err := ParseHosts(text, groups); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestALoginIsRead(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "=10.0.0.1", "u@h.example.org:2222": "=u@h.example.org:2222", "[2001:db8::1]:22": "=2001:db8::1:22", "[2001:db8::1]": "=2001:db8::1",
		"h:1": "=h:1", "h:65535": "=h:65535",
	} {
		if h, err := ParseLogin(in); err != nil || shown(h) != want {
			t.Errorf("%s: %s %v", in, shown(h), err)
		}
	}
	for _, in := range []string{"", "a@", "10.0.0.1:0", "10.0.0.1:70000", "a b", "a@b@c"} {
		if h, err := ParseLogin(in); err == nil {
			t.Errorf("%q was read as %+v", in, h)
		}
	}
}

// A list is read as far as it can be, and each line that cannot is told.
func TestAllErrorsOfAListAreTold(t *testing.T) {
	got, err := ParseHosts("a 10.0.0.1\nb 10.0.0.2 c\n@x, d 10.0.0.4", []string{})
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "line 2:") || !strings.Contains(err.Error(), "line 3:") {
		t.Errorf("told %v", err)
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"a", "d"}) {
		t.Errorf("read %v", names)
	}
}

func TestTheIDOfAnImportIsRead(t *testing.T) {
	for _, tc := range []struct{ id, user, want string }{
		{"10.0.0.1", "root", "master=10.0.0.1"},
		{"root@10.0.0.1:22", "root", "master=10.0.0.1:22"},
		{"root@10.0.0.1", "admin", "master=root@10.0.0.1"},
		{"admin@10.0.0.1", "admin", "master=10.0.0.1"},
	} {
		if h, err := ParseImport(tc.id, tc.user); err != nil || shown(h) != tc.want {
			t.Errorf("%s with the user %s: %s %v", tc.id, tc.user, shown(h), err)
		}
	}
	if _, err := ParseImport("a b", "root"); err == nil || err.Error() != `"a b": expected [user@]address[:port]` {
		t.Errorf("not a login: %v", err)
	}
}

func TestTheIDOfAPoolsImportIsRead(t *testing.T) {
	if cluster, pool, err := ParsePoolImport("u@10.0.0.1:22/workers"); err != nil || cluster != "u@10.0.0.1:22" || pool != "workers" {
		t.Errorf("%q %q %v", cluster, pool, err)
	}
	for _, id := range []string{"10.0.0.1", "10.0.0.1/", ""} {
		if _, _, err := ParsePoolImport(id); err == nil || !strings.HasPrefix(err.Error(), strconv.Quote(id)+": expected [user@]address[:port] of a master, a slash") {
			t.Errorf("%q: %v", id, err)
		}
	}
}
