package controlplane

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

func cluster(masters ...string) spec.Cluster {
	c := spec.Cluster{Name: "demo"}
	for _, name := range masters {
		c.Masters = append(c.Masters, spec.Host{Name: name})
	}
	return c
}

func TestTheDeadAndThoseThatMoveLeaveFirst(t *testing.T) {
	for name, tc := range map[string]struct {
		leaving []string
		dead    map[string]bool
		want    removals
	}{
		"nobody":           {nil, nil, removals{}},
		"one that lives":   {[]string{"m3"}, map[string]bool{"m3": false}, removals{last: []string{"m3"}}},
		"one that is dead": {[]string{"m3"}, map[string]bool{"m3": true}, removals{first: []string{"m3"}}},
		"one that moves":   {[]string{"m1"}, nil, removals{first: []string{"m1"}, moving: []string{"m1"}}},
		"a dead one that moves, and others": {[]string{"m1", "m3", "m4"}, map[string]bool{"m1": true, "m4": true},
			removals{first: []string{"m1", "m4"}, moving: []string{"m1"}, last: []string{"m3"}}},
	} {
		got := orderRemovals(tc.leaving, cluster("m1", "m2"), tc.dead)
		if !slices.Equal(got.first, tc.want.first) || !slices.Equal(got.moving, tc.want.moving) || !slices.Equal(got.last, tc.want.last) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
		o := &Operation{removals: got}
		if RemovesFirst(o) != (len(tc.want.first) > 0) || RemovesLast(o) != (len(tc.want.last) > 0) || Moves(o) != (len(tc.want.moving) > 0) {
			t.Errorf("%s: the conditions are %t %t %t", name, RemovesFirst(o), RemovesLast(o), Moves(o))
		}
	}
}

func TestWhoMayJoinEtcdNow(t *testing.T) {
	for name, tc := range map[string]struct {
		waits
		says string // empty: it may
	}{
		"the first of a new cluster":        {waits{name: "m1", first: "m1", fresh: true}, ""},
		"the second, while the first fails": {waits{name: "m2", first: "m1", fresh: true}, ""},
		"the second, behind a cut create":   {waits{name: "m2", first: "m1"}, "waits for master m1, which may hold the cluster's data"},
		"the first of a cut create":         {waits{name: "m1", first: "m1"}, ""},
		"one beside a master that serves":   {waits{name: "m2", first: "m1", sourced: true}, ""},
		"one behind one that failed":        {waits{name: "m3", first: "m1", sourced: true, blocked: "m2"}, "waits for master m2, which has to join etcd first"},
		"a member behind one that failed":   {waits{name: "m3", first: "m1", sourced: true, blocked: "m2", member: true}, ""},
		"one that serves behind one down":   {waits{name: "m3", first: "m1", sourced: true, down: "m2", member: true, served: true}, "waits for master m2, which did not come up"},
		"a new one behind one down":         {waits{name: "m3", first: "m1", sourced: true, down: "m2"}, ""},
	} {
		err := mustWait("m (192.0.2.1)", tc.waits)
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), "m (192.0.2.1) "+tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
}

func TestACutCreateIsTakenUpAndNothingElseIs(t *testing.T) {
	of := func(id, node string) *install.Identity {
		return &install.Identity{ClusterID: id, ClusterName: "demo", NodeName: node}
	}
	known, other := of("id-1", "m1"), of("id-1", "m1")
	known.Known, other.ClusterName = true, "other"
	for name, tc := range map[string]struct {
		found   map[string]*install.Identity
		id      string
		foreign string
	}{
		"bare hosts":              {map[string]*install.Identity{"m1": nil, "m2": nil}, "", ""},
		"one of two was begun":    {map[string]*install.Identity{"m1": nil, "m2": of("id-1", "m2")}, "id-1", ""},
		"both were":               {map[string]*install.Identity{"m1": of("id-1", "m1"), "m2": of("id-1", "m2")}, "id-1", ""},
		"they are of two creates": {map[string]*install.Identity{"m1": of("id-1", "m1"), "m2": of("id-2", "m2")}, "", "host of m2"},
		"it is another node":      {map[string]*install.Identity{"m1": of("id-1", "m2")}, "", "host of m1"},
		"it is another cluster's": {map[string]*install.Identity{"m1": other}, "", "host of m1"},
		"it is kept by somebody":  {map[string]*install.Identity{"m1": known}, "", "host of m1"},
		"it is no master of it":   {map[string]*install.Identity{"m9": of("id-1", "m9")}, "", "host of m9"},
	} {
		id, err := cutCreate(cluster("m1", "m2"), tc.found, map[string]string{"m1": "host of m1", "m2": "host of m2", "m9": "host of m9"})
		var foreign *install.ForeignError
		if id != tc.id || errors.As(err, &foreign) != (tc.foreign != "") || foreign != nil && foreign.Host != tc.foreign {
			t.Errorf("%s: %q %v", name, id, err)
		}
	}
}

func TestAFreshClusterIsOneThatNoHostHasHeardOf(t *testing.T) {
	for name, tc := range map[string]struct {
		found map[string]*install.Identity
		want  bool
	}{
		"nobody was asked":  {nil, false},
		"nobody answered":   {map[string]*install.Identity{}, true},
		"bare":              {map[string]*install.Identity{"m1": nil}, true},
		"one has heard":     {map[string]*install.Identity{"m1": nil, "m2": {}}, false},
		"it is of a create": {map[string]*install.Identity{"m2": {}}, false},
	} {
		if got := fresh(tc.found); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestHowEtcdComesToBeAMember(t *testing.T) {
	const name, url = "m1", "https://192.0.2.1:2380"
	alone := install.Etcd{InitialCluster: map[string]string{name: url}}
	first := install.Etcd{InitialCluster: map[string]string{name: url, "m2": "https://192.0.2.2:2380"}}
	later := install.Etcd{InitialCluster: first.InitialCluster, Joins: true}
	for what, tc := range map[string]struct {
		found  found
		source string
		want   entry
	}{
		"the first":                                {found{}, "", entry{etcd: alone}},
		"one more":                                 {found{}, "m2", entry{etcd: install.Etcd{Joins: true}, add: true, empty: true, votes: true}},
		"one more that has data":                   {found{joined: true}, "m2", entry{etcd: install.Etcd{Joins: true}, add: true}},
		"one that was there from the beginning":    {found{etcd: first, known: true}, "m2", entry{etcd: first}},
		"one that was cut before its vote":         {found{etcd: later, known: true}, "m2", entry{etcd: later, votes: true}},
		"one that has its vote":                    {found{etcd: later, known: true, joined: true}, "m2", entry{etcd: later}},
		"the first again":                          {found{etcd: first, known: true, joined: true}, "", entry{etcd: first}},
		"one whose data is gone":                   {found{etcd: later, known: true, joined: true, refused: true}, "m2", entry{etcd: install.Etcd{Joins: true}, add: true, empty: true, votes: true}},
		"the source of the cluster, its data gone": {found{etcd: later, known: true, joined: true, refused: true}, name, entry{etcd: alone}},
	} {
		if got := entryOf(tc.found, tc.source, name, url); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", what, got, tc.want)
		}
	}
}

func TestTheStepsAroundTheStartOfEtcd(t *testing.T) {
	var steps []step.Step
	for _, name := range []string{"a", "b", "start " + string(config.Etcd), "c", "d"} {
		steps = append(steps, step.Step{Name: name})
	}
	named := func(steps []step.Step) (out string) {
		for _, s := range steps {
			out += s.Name + " "
		}
		return out
	}
	before, start, after := aroundEtcd(steps)
	before, start = append(before, step.Step{Name: "x"}), append(start, step.Step{Name: "y"}) // each is its own
	if named(before) != "a b x " || named(start) != "start etcd y " || named(after) != "c d " {
		t.Errorf("%q, %q, %q", named(before), named(start), named(after))
	}
}
