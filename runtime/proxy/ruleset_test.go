package proxy

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/addr"
)

func TestBackendsAreEqual(t *testing.T) {
	base := func() Backend {
		return Backend{Endpoints: to("10.0.0.1:1", "10.0.0.2:1").Endpoints, Masquerade: true, Affinity: time.Minute, Refuse: drop,
			Inside: to("10.0.0.4:1").Endpoints, Sources: addr.MustPrefixes("203.0.113.0/24")}
	}
	if (Backend{Sources: addr.Prefixes{}}).equal(Backend{}) {
		t.Error("no source is all sources")
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
		"an endpoint inside":    func(b *Backend) { b.Inside[0] = at("10.0.0.5:1") },
		"the sources":           func(b *Backend) { b.Sources = addr.MustPrefixes("203.0.112.0/24") },
		"all sources":           func(b *Backend) { b.Sources = nil },
		"no source":             func(b *Backend) { b.Sources = addr.Prefixes{} },
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

// Of those that claim a frontend, the one with the best right has it, and it does not
// matter who was seen first.
func TestWhoHasAFrontend(t *testing.T) {
	f := front("203.0.113.7", "TCP", 80)
	name := func(s string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: s} }
	// A claim is made by a Service with its name, and of a backend of its own.
	type claim struct {
		name    string
		rank    Rank
		created int64
		uid     types.UID
	}
	service := func(c claim) Service {
		return Service{Rules: Rules{f: to(fmt.Sprintf("10.0.0.%d:1", c.name[0]))}, Ranks: map[Frontend]Rank{f: c.rank}, Created: time.Unix(c.created, 0), UID: c.uid}
	}
	for what, tc := range map[string]struct {
		claims []claim
		heirs  string // who has it in turn, as each lets go
	}{
		"nobody":                             {nil, ""},
		"one":                                {[]claim{{name: "a"}}, "a"},
		"cluster IPs before external IPs":    {[]claim{{name: "a", rank: ExternalIP, created: 1}, {name: "b", rank: ClusterIP, created: 2}}, "ba"},
		"cluster IPs before node ports":      {[]claim{{name: "a", rank: NodePort, created: 1}, {name: "b", rank: ClusterIP, created: 2}}, "ba"},
		"node ports before load balancers":   {[]claim{{name: "a", rank: LoadBalancerIP, created: 1}, {name: "b", rank: NodePort, created: 2}}, "ba"},
		"load balancers before external IPs": {[]claim{{name: "a", rank: ExternalIP, created: 1}, {name: "b", rank: LoadBalancerIP, created: 2}}, "ba"},
		"the oldest of equals":               {[]claim{{name: "a", created: 3}, {name: "b", created: 1}, {name: "c", created: 2}}, "bca"},
		"by UID when they are as old":        {[]claim{{name: "a", uid: "z"}, {name: "b", uid: "y"}, {name: "c", uid: "x"}}, "cba"},
		"all of it":                          {[]claim{{name: "a", rank: ExternalIP, created: 1}, {name: "b", rank: ClusterIP, created: 9}, {name: "c", rank: ExternalIP}, {name: "d", rank: NodePort, created: 5}}, "bdca"},
	} {
		rnd := rand.New(rand.NewPCG(5, 6))
		for range 20 {
			rnd.Shuffle(len(tc.claims), func(i, k int) { tc.claims[i], tc.claims[k] = tc.claims[k], tc.claims[i] })
			r := NewRuleset()
			for _, c := range tc.claims {
				r.Update(name(c.name), service(c))
			}
			for _, c := range tc.claims { // what is told again changes nothing
				r.Update(name(c.name), service(c))
			}
			for i := range tc.heirs {
				heir := tc.heirs[i : i+1]
				if got, want := r.Desired(), service(claim{name: heir}).Rules; !reflect.DeepEqual(got, want) {
					t.Fatalf("%s: %v, want that of %s", what, got, heir)
				}
				if i%2 == 0 { // the others let it go by name, or by being without it
					r.Update(name(heir), Service{})
				} else {
					r.Update(name(heir), Service{Rules: Rules{front("203.0.113.8", "TCP", 80): {}}})
					r.Update(name(heir), Service{})
				}
			}
			if len(r.Desired())+len(r.owner)+len(r.others)+len(r.services) > 0 {
				t.Fatalf("%s: left are %v, %v", what, r.Desired(), r.others)
			}
		}
	}
}

// Whoever's right changes has it by the new one.
func TestARightThatChanges(t *testing.T) {
	f := front("203.0.113.7", "TCP", 80)
	a, b := types.NamespacedName{Name: "a"}, types.NamespacedName{Name: "b"}
	of := func(ip string, rank Rank) Service {
		return Service{Rules: Rules{f: to(ip)}, Ranks: map[Frontend]Rank{f: rank}}
	}
	r := NewRuleset()
	r.Update(a, of("10.0.0.1:1", LoadBalancerIP))
	r.Update(b, of("10.0.0.2:1", ExternalIP))
	for _, step := range []struct {
		name types.NamespacedName
		rank Rank
		ip   string
		want string
	}{
		{b, ClusterIP, "10.0.0.2:1", "10.0.0.2:1"}, {b, ExternalIP, "10.0.0.2:1", "10.0.0.1:1"}, {a, ExternalIP, "10.0.0.1:1", "10.0.0.1:1"}, {b, NodePort, "10.0.0.3:1", "10.0.0.3:1"},
	} {
		r.Update(step.name, of(step.ip, step.rank))
		if got := r.Desired(); !reflect.DeepEqual(got, Rules{f: to(step.want)}) {
			t.Errorf("%s claims it as %d: %v", step.name, step.rank, got)
		}
	}
}

// What a write that failed should have removed is in the next, which is whole.
func TestTheWholeRemovesWhatIsLeft(t *testing.T) {
	f, other := front("10.96.0.1", "UDP", 53), front("10.96.0.2", "UDP", 53)
	name, had, now := types.NamespacedName{Name: "a"}, to("10.0.0.1:1"), to("10.0.0.2:1")
	r := NewRuleset()
	r.Update(name, Service{Rules: Rules{f: had}})
	r.Applied(r.Whole())
	r.Update(name, Service{Rules: Rules{other: now}}) // and the write fails
	want := Change{Set: Rules{other: now}, Remove: Rules{f: had}}
	if got := r.Whole(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := staleUDP(r.applied, r.Whole()); len(got) != 2 {
		t.Errorf("connections to %v are forgotten, want both", got)
	}
	r.Applied(r.Whole())
	if got := r.Whole(); len(got.Remove) > 0 {
		t.Errorf("%v is removed again", got.Remove)
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
		r.Update(name, Service{Rules: tc.rules})
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
