package plan

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

func TestAServerHasOneOwner(t *testing.T) {
	one := func(name, address string) []spec.Host { return []spec.Host{at(name, address)} }
	in := func(cluster, master string) spec.Connection {
		return spec.Connection{ClusterName: cluster, Masters: one("m1", master)}
	}
	type claim struct {
		owner Owner
		hosts []spec.Host
	}
	workers := func(c spec.Connection, name, address string) claim {
		return claim{OwnerIn(c, "pool", "workers"), one(name, address)}
	}
	var later spec.Connection // of a cluster whose masters are not known yet
	for name, tc := range map[string]struct {
		claims []claim
		want   string // of the last; empty is no refusal
	}{
		"pools of two clusters": {[]claim{workers(in("a", "192.0.2.1"), "w1", "192.0.2.9"), workers(in("b", "192.0.2.2"), "w2", "192.0.2.9")},
			"pool workers of cluster b has the address 192.0.2.9, and so has pool workers of cluster a."},
		"pools of two clusters of one name": {[]claim{workers(in("a", "192.0.2.1"), "w1", "192.0.2.9"), workers(in("a", "192.0.2.2"), "w2", "192.0.2.9")},
			"and so has another pool workers of cluster a."},
		"clusters of one name": {[]claim{{OwnerIn(in("a", "192.0.2.1"), "cluster", "a"), one("m1", "192.0.2.1")},
			{OwnerIn(spec.Connection{ClusterName: "a", Masters: append(one("m1", "192.0.2.1"), one("m2", "192.0.2.2")...)}, "cluster", "a"), one("m1", "192.0.2.1")}},
			"and so has another cluster a."},
		"pools of two clusters, a server each": {[]claim{workers(in("a", "192.0.2.1"), "w1", "192.0.2.8"), workers(in("b", "192.0.2.2"), "w1", "192.0.2.9")}, ""},
		"one pool, planned twice":              {[]claim{workers(in("a", "192.0.2.1"), "w1", "192.0.2.9"), workers(in("a", "192.0.2.1"), "w1", "192.0.2.9")}, ""},
		"and once before its masters are known": {[]claim{workers(later, "w1", "192.0.2.9"), workers(in("a", "192.0.2.1"), "w1", "192.0.2.9"),
			workers(later, "w1", "192.0.2.9"), workers(in("b", "192.0.2.2"), "w1", "192.0.2.9")}, "and so has pool workers of cluster a."},
		"two pools of one cluster": {[]claim{{OwnerIn(in("a", "192.0.2.1"), "pool", "x"), one("w1", "192.0.2.8")}, workers(in("a", "192.0.2.1"), "w1", "192.0.2.9")},
			"pool workers of cluster a has a server named w1, and so has pool x of cluster a."},
	} {
		t.Run(name, func(t *testing.T) {
			var owners Owners
			for i, c := range tc.claims {
				var diags diag.Diagnostics
				owners.Add(c.owner, "hosts", c.hosts, &diags)
				want := ""
				if i == len(tc.claims)-1 {
					want = tc.want
				}
				if diags.HasError() != (want != "") || want != "" && !strings.Contains(diags[0].Detail(), want) {
					t.Errorf("claim %d is told %v, want %q", i, diags, want)
				}
			}
		})
	}
}

func TestAClusterThatTheRunPlans(t *testing.T) {
	one := func(address string) spec.Connection {
		return spec.Connection{ClusterName: "a", Masters: []spec.Host{at("m1", address)}}
	}
	var owners Owners
	var diags diag.Diagnostics
	c := one("192.0.2.1")
	owners.Add(OwnerIn(c, "pool", "workers"), "hosts", []spec.Host{at("w1", "192.0.2.8")}, &diags)
	if owners.Plans(c) {
		t.Error("it is planned with its pool")
	}
	owners.Add(OwnerIn(spec.Connection{}, "cluster", "a"), "masters", c.Masters, &diags)
	if owners.Plans(c) {
		t.Error("it is planned before it is known which it is")
	}
	owners.Add(OwnerIn(c, "cluster", "a"), "masters", c.Masters, &diags)
	if !owners.Plans(c) || owners.Plans(one("192.0.2.2")) || owners.Plans(one("192.0.2.8")) || owners.Plans(spec.Connection{}) || diags.HasError() {
		t.Error("it is not told from others", diags)
	}
}
