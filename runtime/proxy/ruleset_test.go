package proxy

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestBackendsAreEqual(t *testing.T) {
	base := func() Backend {
		return Backend{Endpoints: to("10.0.0.1:1", "10.0.0.2:1").Endpoints, Masquerade: true, Affinity: time.Minute, Refuse: drop}
	}
	if !base().equal(base()) || !(Backend{}).equal(Backend{}) {
		t.Error("one is not equal to itself")
	}
	for what, change := range map[string]func(*Backend){
		"an endpoint":           func(b *Backend) { b.Endpoints[1] = at("10.0.0.3:1") },
		"the number of them":    func(b *Backend) { b.Endpoints = b.Endpoints[:1] },
		"the order of them":     func(b *Backend) { b.Endpoints[0], b.Endpoints[1] = b.Endpoints[1], b.Endpoints[0] },
		"masquerading":          func(b *Backend) { b.Masquerade = false },
		"the time of affinity":  func(b *Backend) { b.Affinity++ },
		"the way of refusing":   func(b *Backend) { b.Refuse = reject },
		"all but the endpoints": func(b *Backend) { *b = Backend{Endpoints: b.Endpoints} },
	} {
		other := base()
		change(&other)
		if base().equal(other) || other.equal(base()) {
			t.Errorf("%s makes no difference", what)
		}
	}
}

func TestAChangeIsEmpty(t *testing.T) {
	one := Rules{front("10.96.0.1", "TCP", 80): {}}
	for _, tc := range []struct {
		change Change
		want   bool
	}{
		{Change{}, true},
		{Change{Set: Rules{}, Remove: Rules{}}, true},
		{Change{Set: one}, false},
		{Change{Remove: one}, false},
		{Change{Set: one, Remove: one}, false},
	} {
		if got := tc.change.empty(); got != tc.want {
			t.Errorf("%v: %v", tc.change, got)
		}
	}
}

func TestOfTwoServicesThatClaimAnAddressTheFirstKeepsIt(t *testing.T) {
	f := front("203.0.113.7", "TCP", 80)
	name := func(s string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: s} }
	// Each Service claims f with a backend of its own.
	claim := func(s string) Rules { return Rules{f: to(fmt.Sprintf("10.0.0.%d:1", s[0]))} }
	type update struct {
		name  string
		rules Rules
	}
	for what, tc := range map[string]struct {
		updates []update
		want    string // whose it is; empty: nobody's
	}{
		"one claims it":                  {[]update{{"a", claim("a")}}, "a"},
		"one let go":                     {[]update{{"a", claim("a")}, {"a", nil}}, ""},
		"one let go, and has others":     {[]update{{"a", claim("a")}, {"a", Rules{front("203.0.113.8", "TCP", 80): {}}}}, ""},
		"the first":                      {[]update{{"c", claim("c")}, {"a", claim("a")}, {"b", claim("b")}}, "c"},
		"the first, told again":          {[]update{{"c", claim("c")}, {"a", claim("a")}, {"c", claim("c")}}, "c"},
		"another let go":                 {[]update{{"c", claim("c")}, {"a", claim("a")}, {"b", claim("b")}, {"b", nil}}, "c"},
		"the first let go":               {[]update{{"c", claim("c")}, {"b", claim("b")}, {"a", claim("a")}, {"c", nil}}, "a"},
		"the first came back":            {[]update{{"c", claim("c")}, {"b", claim("b")}, {"c", nil}, {"c", claim("c")}}, "b"},
		"the first by name let go first": {[]update{{"a", claim("a")}, {"b", claim("b")}, {"c", claim("c")}, {"a", nil}}, "b"},
		"all let go":                     {[]update{{"a", claim("a")}, {"b", claim("b")}, {"a", nil}, {"b", nil}}, ""},
	} {
		for range 20 { // in whatever order a map is walked
			r := NewRuleset()
			for _, u := range tc.updates {
				r.Update(name(u.name), u.rules)
			}
			b, ok := r.Desired()[f]
			if ok != (tc.want != "") || ok && !b.equal(claim(tc.want)[f]) {
				t.Fatalf("%s: %v %v, want that of %q", what, ok, b, tc.want)
			}
		}
	}
}

func TestTheHeirIsTheFirstByName(t *testing.T) {
	f := front("203.0.113.7", "TCP", 80)
	for range 20 {
		r := NewRuleset()
		name := func(i int) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: fmt.Sprint(i)} }
		for i := 9; i >= 1; i-- {
			r.Update(name(i), Rules{f: to(fmt.Sprintf("10.0.0.%d:1", i))})
		}
		r.Update(name(9), nil)
		if got, want := r.Desired(), (Rules{f: to("10.0.0.1:1")}); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestPending(t *testing.T) {
	name := types.NamespacedName{Namespace: "ns", Name: "a"}
	f, other := front("10.96.0.1", "TCP", 80), front("10.96.0.2", "TCP", 80)
	had, now := to("10.0.0.1:1"), to("10.0.0.2:1")
	for what, tc := range map[string]struct {
		applied, rules Rules
		want           Change
	}{
		"neither there nor wanted": {nil, Rules{other: now}, Change{Set: Rules{}, Remove: Rules{}}},
		"new":                      {nil, Rules{f: now}, Change{Set: Rules{f: now}, Remove: Rules{}}},
		"changed":                  {Rules{f: had}, Rules{f: now}, Change{Set: Rules{f: now}, Remove: Rules{}}},
		"as it was":                {Rules{f: now}, Rules{f: now}, Change{Set: Rules{}, Remove: Rules{}}},
		"gone":                     {Rules{f: had}, nil, Change{Set: Rules{}, Remove: Rules{f: had}}},
	} {
		r := NewRuleset()
		r.Applied(Change{Set: tc.applied})
		r.Update(name, tc.rules)
		got := r.Pending(map[Frontend]struct{}{f: {}})
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
		r.Applied(got)
		if again := r.Pending(map[Frontend]struct{}{f: {}}); !again.empty() {
			t.Errorf("%s: after it is applied, %v is pending", what, again)
		}
	}
}
