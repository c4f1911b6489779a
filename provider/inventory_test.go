package provider

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
	} {
		got, err := parseHosts(c.text, c.groups)
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
		"there is no group [q]":                                   "10.0.0.1",
	} {
		var groups []string
		if strings.Contains(want, "no group") {
			groups = []string{"q"}
		}
		if _, err := parseHosts(text, groups); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestTheLoginOfAnImportIsRead(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "master=10.0.0.1", "u@h.example.org:2222": "master=u@h.example.org:2222", "[2001:db8::1]:22": "master=2001:db8::1:22", "[2001:db8::1]": "master=2001:db8::1",
	} {
		if h, err := parseLogin(in); err != nil || shown(h) != want {
			t.Errorf("%s: %s %v", in, shown(h), err)
		}
	}
	for _, in := range []string{"", "a@", "10.0.0.1:0", "10.0.0.1:70000", "a b", "a@b@c"} {
		if h, err := parseLogin(in); err == nil {
			t.Errorf("%q was read as %+v", in, h)
		}
	}
}
