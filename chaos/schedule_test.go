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
			return x.number == y.number && slices.EqualFunc(x.injections, y.injections, func(x, y injection) bool {
				return x.fault.name == y.fault.name && x.hold == y.hold && x.after == y.after && slices.Equal(x.targets, y.targets)
			})
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
	rounds := drawn(1, 9*all/2)
	var alone []injection
	for i, r := range rounds {
		if r.number != i+1 {
			t.Errorf("round %d has number %d", i+1, r.number)
		}
		if two := r.number%3 == 0; two != (len(r.injections) == 2) || len(r.injections) == 0 {
			t.Errorf("round %d has %d faults", r.number, len(r.injections))
		}
		if len(r.injections) == 1 {
			alone = append(alone, r.injections[0])
		}
		for _, i := range r.injections {
			if i.hold < i.fault.hold[0] || i.hold > i.fault.hold[1] {
				t.Errorf("%s holds for %s", i.fault.name, i.hold)
			}
			unique := slices.Compact(slices.Sorted(slices.Values(i.targets)))
			if len(unique) != len(i.targets) || len(i.targets) == 0 {
				t.Errorf("%s has targets %v", i.fault.name, i.targets)
			}
			if i.fault.name == "partition-subset" && len(i.targets) == 6 {
				t.Error("a subset is all hosts: nothing is cut from anything")
			}
		}
	}
	if len(alone) != 3*all {
		t.Fatalf("%d faults come alone, want %d", len(alone), 3*all)
	}
	for cycle := range slices.Chunk(alone, all) {
		seen := map[string]bool{}
		for _, i := range cycle {
			seen[i.fault.name] = true
		}
		if len(seen) != all {
			t.Errorf("of %d faults %d come before one comes again", all, len(seen))
		}
	}
}

func TestTwoFaultsAtOnce(t *testing.T) {
	kinds := map[string]int{}
	for _, r := range drawn(3, 3000) {
		if len(r.injections) < 2 {
			continue
		}
		a, b := r.injections[0], r.injections[1]
		kinds[a.fault.name]++
		kinds[b.fault.name]++
		if a.fault.name == b.fault.name || a.fault.uses != nothing && a.fault.uses == b.fault.uses {
			t.Errorf("%s: both use the same", r.name())
		}
		if a.after != 0 || b.after > a.hold {
			t.Errorf("%s: the second begins after %s, and the first holds for %s", r.name(), b.after, a.hold)
		}
		shared := slices.ContainsFunc(a.targets, func(h string) bool { return slices.Contains(b.targets, h) })
		if shared && (a.fault.off || b.fault.off) && !a.fault.moves && !b.fault.moves {
			t.Errorf("%s: at a host that stands still: %v, %v", r.name(), a.targets, b.targets)
		}
		if got := r.targets(); len(got) < max(len(a.targets), len(b.targets)) || !slices.IsSorted(got) {
			t.Errorf("%s: its targets are %v", r.name(), got)
		}
	}
	for _, f := range faults() {
		if kinds[f.name] == 0 {
			t.Errorf("%s never comes with another fault", f.name)
		}
	}
	one, err := choose(faults(), "pause")
	if err != nil {
		t.Fatal(err)
	}
	s := newSchedule(1, one, []string{"m1"}, []string{"w1"})
	for range 6 {
		if r := s.next(); len(r.injections) != 1 {
			t.Errorf("one fault comes as %s", r.name())
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
