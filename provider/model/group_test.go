package model

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

func TestHowAGroupIsCalled(t *testing.T) {
	cluster, pool := Cluster{Name: str("demo")}, Pool{Name: str("workers"), RemovalLimit: types.Int64Value(1)}
	for _, tc := range []struct {
		group          Group
		title, atStart string
		limited        bool
	}{{cluster.Group(), "cluster demo", "Cluster demo", false}, {pool.Group(), "pool workers", "Pool workers", true}} {
		if tc.group.Title() != tc.title || tc.group.TitleAtStart() != tc.atStart || tc.group.RemovalLimit.IsNull() == tc.limited {
			t.Errorf("%q, %q, limit %s", tc.group.Title(), tc.group.TitleAtStart(), tc.group.RemovalLimit)
		}
	}
}

func TestHowHostsLeave(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, DefaultDrainTimeout: 5 * time.Minute, "": 5 * time.Minute} {
		if got := (Group{DrainTimeout: str(text)}).Drain(); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
	if (Group{OnDrainTimeout: str("keep")}).Force() || !(Group{OnDrainTimeout: str("force")}).Force() {
		t.Error("keep is force, or force is not")
	}
}

// group has these hosts, and of some of them a status.
func group(t *testing.T, hosts map[string]Host, status map[string]HostStatus) (Group, *Pool) {
	t.Helper()
	p := &Pool{Name: str("workers"), Hosts: hostMap(t, hosts), Status: statuses(t, status)}
	return p.Group(), p
}

func TestTheSpecsOfAGroup(t *testing.T) {
	elsewhere := entry("ready", "x")
	elsewhere.Address = str("192.0.2.9")
	g, _ := group(t, map[string]Host{"c": hostAt(str("192.0.2.1")), "a": hostAt(str("192.0.2.1")), "b": hostAt(types.StringUnknown()), "d": hostAt(str("192.0.2.1")), "0": hostAt(types.StringUnknown())},
		map[string]HostStatus{"a": entry("ready", "x"), "c": elsewhere})
	var diags diag.Diagnostics
	hosts, unknown := g.Specs(t.Context(), &diags)
	fine(t, diags)
	var got []string
	for _, h := range hosts {
		got = append(got, h.Name+"="+h.SSH.HostKey)
	}
	if !slices.Equal(got, []string{"a=key", "c=", "d="}) || !slices.Equal(unknown, []string{"0", "b"}) {
		t.Errorf("known %v, unknown %v", got, unknown)
	}
}

func TestWhatHostsAreToBecome(t *testing.T) {
	g, _ := group(t, map[string]Host{"a": hostAt(str("1")), "b": hostAt(str("2"))}, nil)
	node := func(name string) (spec.Node, bool) { return spec.Node{Pool: "x"}, name == "a" }
	var diags diag.Diagnostics
	got := g.Desired(t.Context(), node, "digest", &diags)
	if a := got["a"]; !a.Known || a.Hash != (spec.Node{Pool: "x"}).Hash("digest") || a.Address != str("1") || !a.HostKey.IsNull() {
		t.Errorf("a: %+v", a)
	}
	if b := got["b"]; b.Known || b.Hash != "" || b.Address != str("2") || len(got) != 2 {
		t.Errorf("b: %+v", b)
	}
	if a := g.Desired(t.Context(), node, "", &diags)["a"]; a.Known {
		t.Errorf("without a bundle: %+v", a)
	}
	fine(t, diags)
}

func TestWhatStateHoldsAfterAnOperation(t *testing.T) {
	stays, left, failed, untried := hostAt(str("192.0.2.1")), hostAt(str("192.0.2.2")), hostAt(str("192.0.2.3")), hostAt(str("192.0.2.4"))
	g, p := group(t, map[string]Host{"stays": stays, "other": stays}, map[string]HostStatus{"stays": entry("ready", "old"), "other": entry("drifted", "old"), "failed": entry("ready", "old")})
	report := bootstrap.Report{Hosts: map[string]bootstrap.Status{
		"stays": {State: bootstrap.Ready, HostKey: "key"}, "left": {State: bootstrap.Gone}, "failed": {State: bootstrap.Pending, Message: "why\nmore"},
	}}
	var diags diag.Diagnostics
	desired := map[string]Desired{"stays": {Address: str("192.0.2.1"), HostKey: types.StringNull(), Hash: "new"}, "other": {Address: str("192.0.2.1")}}
	status := g.Applied(t.Context(), desired, report, "2", &diags)
	if status["stays"].Config != str("new") || status["stays"].Version != str("2") || status["other"] != entry("drifted", "old") || len(status) != 2 {
		t.Errorf("status %+v", status)
	}
	g.Set(t.Context(), status, map[string]Host{"stays": stays, "left": left, "failed": failed, "untried": untried}, report, &diags)
	hosts, now := Hosts(t.Context(), p.Hosts, &diags), Statuses(t.Context(), p.Status, &diags)
	fine(t, diags)
	kept := entry("ready", "old")
	kept.Message = str("why")
	if len(hosts) != 3 || hosts["failed"].Address != failed.Address || len(now) != 3 || now["failed"] != kept || now["stays"].Config != str("new") {
		t.Errorf("hosts %+v, status %+v", hosts, now)
	}
}

func TestWhatStateHoldsAfterARefresh(t *testing.T) {
	g, p := group(t, nil, map[string]HostStatus{"a": entry("ready", "x"), "b": entry("ready", "x")})
	var diags diag.Diagnostics
	g.Refresh(t.Context(), bootstrap.Report{Hosts: map[string]bootstrap.Status{"a": {State: bootstrap.Drifted, Message: "m"}, "other": {State: bootstrap.Ready}}}, &diags)
	got := Statuses(t.Context(), p.Status, &diags)
	fine(t, diags)
	if len(got) != 2 || got["a"].State != str("drifted") || got["b"] != entry("ready", "x") {
		t.Errorf("status %+v", got)
	}
}

func TestWhatStateHoldsAfterAnImport(t *testing.T) {
	node := func(name string) (spec.Node, bool) { return spec.Node{Pool: name}, name != "foreign" }
	hosts := []spec.Host{{Name: "same", Address: "1", SSH: spec.SSH{HostKey: "key"}}, {Name: "older", Address: "2"}, {Name: "foreign", Address: "3"}}
	versions := map[string]string{"same": "2", "older": "1", "foreign": "2"}
	hash := func(name, digest string) types.String { return str(spec.Node{Pool: name}.Hash(digest)) }
	for name, tc := range map[string]struct {
		bundle      Bundle
		same, older types.String
	}{
		"a bundle":  {Bundle{Version: "2", Digest: "d"}, hash("same", "d"), str("")},
		"no bundle": {Bundle{}, hash("same", ""), hash("older", "")},
	} {
		var diags diag.Diagnostics
		entries, status := Imported(t.Context(), hosts, versions, tc.bundle, node, &diags)
		fine(t, diags)
		want := map[string]HostStatus{
			"same":    {str("ready"), str("1"), str("key"), tc.same, str("2"), str("")},
			"older":   {str("ready"), str("2"), types.StringNull(), tc.older, str("1"), str("")},
			"foreign": {str("ready"), str("3"), types.StringNull(), str(""), str("2"), str("")},
		}
		for host, w := range want {
			if status[host] != w || !strings.HasPrefix(entries[host].Address.ValueString(), w.Address.ValueString()) {
				t.Errorf("%s: %s is %+v, want %+v", name, host, status[host], w)
			}
		}
	}
}
