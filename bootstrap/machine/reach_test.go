package machine

import (
	"errors"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// A worker gets by with one master; a master needs all of them, and they need it.
func TestWhomANewHostReaches(t *testing.T) {
	noRoute := errors.New("ssh: rejected: No route to host")
	masters := []spec.Host{{Name: "m1", Address: "192.0.2.1"}, {Name: "m2", Address: "192.0.2.2"}}
	for what, tc := range map[string]struct {
		master     bool
		masters    []spec.Host
		finds      func(address string) error // what the new host finds
		seen       error                      // what the masters find of it
		unreached  string
		none       bool
		unreaching string
	}{
		"a worker":                    {false, masters, func(string) error { return nil }, noRoute, "", false, ""},
		"a worker that reaches one":   {false, masters, finds("No route to host", "1:6443"), nil, "m2", false, ""},
		"a worker that reaches none":  {false, masters, finds("No route to host", "none"), nil, "m1 m2", true, ""},
		"the first worker":            {false, nil, finds("No route to host", "none"), nil, "", false, ""},
		"nothing is forwarded":        {false, masters, finds("administratively prohibited", "none"), nil, "", false, ""},
		"a master":                    {true, masters, func(string) error { return nil }, errors.New("ssh: rejected: Connection refused"), "", false, ""},
		"a master without etcd":       {true, masters, finds("No route to host", ":6443"), nil, "m1 m2", false, ""},
		"a master that is not seen":   {true, masters, func(string) error { return nil }, noRoute, "", false, "m1 m2"},
		"masters that do not forward": {true, masters, func(string) error { return nil }, errors.New("administratively prohibited"), "", false, ""},
		"masters that are lost":       {true, masters, func(string) error { return nil }, &host.Error{Kind: host.ErrUnreachable, Host: "m1", Doing: "dial", Err: errors.New("gone")}, "", false, ""},
	} {
		h := hosttest.NewModel("new", "192.0.2.9")
		h.OnDial = tc.finds
		c := Cluster{Masters: tc.masters}
		for _, m := range tc.masters {
			w := hosttest.NewModel(m.Name, m.Address)
			w.OnDial = func(address string) error {
				if address != "192.0.2.9:2380" {
					t.Errorf("%s: a master tries %s", what, address)
				}
				return tc.seen
			}
			c.Witnesses = append(c.Witnesses, &fleet.Member{Spec: m, Host: w})
		}
		n := spec.Node{Master: tc.master, Host: spec.Host{Name: "new", Address: "192.0.2.9"}}
		got := reaches(t.Context(), &fleet.Member{Spec: n.Host, Host: h}, n, c)
		if named(got.Unreached) != tc.unreached || got.None != tc.none || named(got.Unreaching) != tc.unreaching {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// named are the masters that lines are about.
func named(lines []string) string {
	var out []string
	for _, l := range lines {
		name, _, _ := strings.Cut(strings.TrimPrefix(l, "master "), ":")
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// A server that leaves as one node and comes as another is not judged as a new one.
func TestWhichServersAreRenamed(t *testing.T) {
	was := []spec.Host{{Name: "old", Address: "192.0.2.1"}}
	now := spec.Host{Name: "new", Address: "192.0.2.1"}
	identity := func(cluster, node string) *install.Identity {
		return &install.Identity{ClusterID: cluster, NodeName: node}
	}
	for what, tc := range map[string]struct {
		id      *install.Identity
		h       spec.Host
		leaving []spec.Host
		want    bool
	}{
		"renamed":              {identity("id", "old"), now, was, true},
		"a bare one":           {nil, now, was, false},
		"another cluster's":    {identity("other", "old"), now, was, false},
		"one that stays":       {identity("id", "old"), now, nil, false},
		"another that leaves":  {identity("id", "third"), now, was, false},
		"of its own name":      {identity("id", "old"), spec.Host{Name: "old", Address: "192.0.2.1"}, was, false},
		"at another's address": {identity("id", "old"), spec.Host{Name: "new", Address: "192.0.2.2"}, was, false},
	} {
		s := preflight.Subject{Identity: tc.id, Node: spec.Node{ClusterID: "id"}}
		if got := renamed(s, tc.h, tc.leaving); got != tc.want {
			t.Errorf("%s: %t", what, got)
		}
	}
}

// Who is wanted is looked at, and nobody else; who is renamed was judged before.
func TestWhoIsLookedAtBeforehand(t *testing.T) {
	models := map[string]*hosttest.Model{}
	var hosts []spec.Host
	wanted := map[string]spec.Node{}
	for name, identity := range map[string]string{"foreign": "clusterID: other\nnodeName: foreign\n", "unwanted": "clusterID: other\nnodeName: unwanted\n", "renamed": identityOf + "old\n", "spoilt": "[", "member": identityOf + "member\n"} {
		address := "192.0.2." + string(rune('1'+len(hosts)))
		models[name] = hosttest.NewModel(name, address)
		models[name].SetFile(install.IdentityFile, identity)
		hosts = append(hosts, spec.Host{Name: name, Address: address})
	}
	hosts = append(hosts, spec.Host{Name: "away", Address: "192.0.2.8"})
	var leaving []spec.Host
	for _, h := range hosts {
		if h.Name != "unwanted" {
			wanted[h.Name] = spec.Node{ClusterID: "id", ClusterName: "demo", Host: h}
		}
		if h.Name == "renamed" {
			leaving = append(leaving, spec.Host{Name: "old", Address: h.Address})
		}
	}
	l := lifecycle(models, nil)
	f := fleet.Connect(t.Context(), l.Config.Config, hosts)
	l.Preflight(t.Context(), f, wanted, Cluster{Leaving: leaving})
	for name, want := range map[string]string{"foreign": "other", "unwanted": "", "renamed": "", "spoilt": "host.yaml", "member": "", "away": ""} {
		err := f.Members[name].Refused
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if looked := f.Members[name].Files != nil; looked != (name != "unwanted" && name != "away") {
			t.Errorf("%s: looked at %t", name, looked)
		}
	}
}
