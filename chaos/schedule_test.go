package main

import (
	"slices"
	"testing"
	"time"
)

func drawn(seed uint64, n int) []round {
	s := newSchedule(seed, faults(), []string{"m1", "m2", "m3"}, []string{"w1", "w2", "w3"})
	var out []round
	for range n {
		out = append(out, s.next())
	}
	return out
}

func TestScheduleFollowsFromTheSeed(t *testing.T) {
	same := func(a, b []round) bool {
		return slices.EqualFunc(a, b, func(x, y round) bool {
			return x.number == y.number && x.fault.name == y.fault.name && x.hold == y.hold && slices.Equal(x.targets, y.targets)
		})
	}
	if !same(drawn(7, 100), drawn(7, 100)) {
		t.Error("a seed gives other rounds the second time")
	}
	if same(drawn(7, 100), drawn(8, 100)) {
		t.Error("another seed gives the same rounds")
	}
}

func TestScheduleIsFair(t *testing.T) {
	all := len(faults())
	rounds := drawn(1, 3*all)
	for cycle := range slices.Chunk(rounds, all) {
		seen := map[string]bool{}
		for _, r := range cycle {
			seen[r.fault.name] = true
			if r.hold < r.fault.hold[0] || r.hold > r.fault.hold[1] {
				t.Errorf("%s holds for %s", r.fault.name, r.hold)
			}
		}
		if len(seen) != all {
			t.Errorf("of %d faults %d come before one comes again", all, len(seen))
		}
	}
	for i, r := range rounds {
		if r.number != i+1 {
			t.Errorf("round %d has number %d", i+1, r.number)
		}
		unique := slices.Compact(slices.Sorted(slices.Values(r.targets)))
		if len(unique) != len(r.targets) || len(r.targets) == 0 {
			t.Errorf("%s has targets %v", r.fault.name, r.targets)
		}
		if r.fault.name == "partition-subset" && len(r.targets) == 6 {
			t.Error("a subset is all hosts: nothing is cut from anything")
		}
	}
}

func TestFaultsAreWhole(t *testing.T) {
	names := map[string]bool{}
	for _, f := range faults() {
		if names[f.name] || f.name == "" || f.targets == nil || f.inject == nil || f.hold[1] < f.hold[0] || f.hold[1] > 2*time.Minute {
			t.Errorf("fault %q is not whole, or not the only one of its name", f.name)
		}
		names[f.name] = true
	}
}

func TestChoose(t *testing.T) {
	for names, want := range map[string]int{"": len(faults()), "kill-etcd": 1, "kill-etcd,pause": 2, "power-*": 6} {
		if got, err := choose(faults(), names); err != nil || len(got) != want {
			t.Errorf("%q chooses %d faults (%v), want %d", names, len(got), err, want)
		}
	}
	for _, names := range []string{"kill", "kill-etcd,none", "none*"} {
		if got, err := choose(faults(), names); err == nil {
			t.Errorf("%q chooses %d faults", names, len(got))
		}
	}
}

func TestLosses(t *testing.T) {
	all := []string{"a", "b", "c"}
	for name, c := range map[string]struct {
		got  int
		want int
	}{
		"from the rest": {len(fromRest([]string{"a"}, all)), 4},
		"silent":        {len(silent([]string{"a"}, all)), 2},
		"deaf":          {len(deaf([]string{"a", "b"}, all)), 2},
		"pair":          {len(pair([]string{"a", "b"}, all)), 2},
		"one way":       {len(oneWay([]string{"a", "b"}, all)), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d losses, want %d", name, c.got, c.want)
		}
	}
	if got := oneWay([]string{"a", "b"}, all)[0]; got.From != "a" || got.To != "b" || got.Percent != 100 {
		t.Errorf("one way: %+v", got)
	}
	for _, l := range silent([]string{"a"}, all) {
		if l.From != "a" {
			t.Errorf("a silent host hears: %+v", l)
		}
	}
	for _, l := range deaf([]string{"a"}, all) {
		if l.To != "a" {
			t.Errorf("a deaf host speaks: %+v", l)
		}
	}
}
