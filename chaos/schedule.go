package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
)

// injection is one fault at its targets, for a time.
type injection struct {
	fault   fault
	targets []string
	// after is when it begins, from the beginning of its round.
	after, hold time.Duration
}

// round is one fault, or two that are there at once.
type round struct {
	number     int
	injections []injection
}

// name is that of its fault, or of both.
func (r round) name() string {
	var names []string
	for _, i := range r.injections {
		names = append(names, i.fault.name)
	}
	return strings.Join(names, judge.AndAtOnce)
}

// targets are all hosts that have a fault.
func (r round) targets() []string {
	var out []string
	for _, i := range r.injections {
		out = append(out, i.targets...)
	}
	return slices.Compact(slices.Sorted(slices.Values(out)))
}

// is reports whether one of its faults is so.
func (r round) is(so func(fault) bool) bool {
	return slices.ContainsFunc(r.injections, func(i injection) bool { return so(i.fault) })
}

// schedule draws rounds: each fault comes once by itself before any comes again, and
// every third round is one of two faults at once, where two of them go together. The
// same seed and faults give the same rounds.
type schedule struct {
	rand             *rand.Rand
	faults, left     []fault
	masters, workers []string
	n                int
}

func newSchedule(seed uint64, faults []fault, masters, workers []string) *schedule {
	return &schedule{rand: rand.New(rand.NewPCG(seed, 0)), faults: faults, masters: slices.Clone(masters), workers: slices.Clone(workers)}
}

func (s *schedule) next() round {
	s.n++
	if s.n%3 == 0 {
		if two := s.two(); two != nil {
			return round{number: s.n, injections: two}
		}
	}
	if len(s.left) == 0 {
		s.left = slices.Clone(s.faults)
		s.rand.Shuffle(len(s.left), func(i, j int) { s.left[i], s.left[j] = s.left[j], s.left[i] })
	}
	f := s.left[0]
	s.left = s.left[1:]
	return round{number: s.n, injections: []injection{s.inject(f)}}
}

func (s *schedule) inject(f fault) injection {
	hold := f.hold[0] + time.Duration(s.rand.Int64N(int64(f.hold[1]-f.hold[0])+1))
	return injection{fault: f, targets: f.targets(s.draw()), hold: hold.Round(time.Millisecond)}
}

// draws is how often two faults are drawn until they go together.
const draws = 100

// two draws two faults of which the second begins while the first one holds; nil where
// none were found.
func (s *schedule) two() []injection {
	for range draws {
		first, second := s.inject(s.faults[s.rand.IntN(len(s.faults))]), s.inject(s.faults[s.rand.IntN(len(s.faults))])
		second.after = time.Duration(s.rand.Int64N(int64(first.hold) + 1)).Round(time.Millisecond)
		if together(first, second) {
			return []injection{first, second}
		}
	}
	return nil
}

// together reports whether two faults can be there at once: they do not use one and the
// same thing, and none has to be injected at, or healed on, a host that stands still
// for the other.
func together(a, b injection) bool {
	if a.fault.name == b.fault.name || a.fault.uses != nothing && a.fault.uses == b.fault.uses {
		return false
	}
	if a.fault.moves || b.fault.moves || !a.fault.off && !b.fault.off {
		return true
	}
	return !slices.ContainsFunc(a.targets, func(host string) bool { return slices.Contains(b.targets, host) })
}

// draw is a cluster's hosts in a random order.
func (s *schedule) draw() draw {
	d := draw{masters: slices.Clone(s.masters), workers: slices.Clone(s.workers)}
	s.rand.Shuffle(len(d.masters), func(i, j int) { d.masters[i], d.masters[j] = d.masters[j], d.masters[i] })
	s.rand.Shuffle(len(d.workers), func(i, j int) { d.workers[i], d.workers[j] = d.workers[j], d.workers[i] })
	d.all = slices.Concat(d.masters, d.workers)
	s.rand.Shuffle(len(d.all), func(i, j int) { d.all[i], d.all[j] = d.all[j], d.all[i] })
	d.some = 1 + s.rand.IntN(len(d.all)-1)
	return d
}

// draw is what a fault takes its targets from.
type draw struct {
	masters, workers, all []string
	some                  int // of all, but not all
}

func oneMaster(d draw) []string  { return d.masters[:1] }
func twoMasters(d draw) []string { return d.masters[:2] }
func allMasters(d draw) []string { return d.masters }
func oneWorker(d draw) []string  { return d.workers[:1] }
func anyHost(d draw) []string    { return d.all[:1] }
func anyTwo(d draw) []string     { return d.all[:2] }
func subset(d draw) []string     { return d.all[:d.some] }
func everyHost(d draw) []string  { return d.all }

// choose finds faults by name: a name, or the beginning of names that ends in *.
func choose(all []fault, names string) ([]fault, error) {
	if names == "" {
		return all, nil
	}
	var out []fault
	for name := range strings.SplitSeq(names, ",") {
		prefix, open := strings.CutSuffix(name, "*")
		found := false
		for _, f := range all {
			if f.name == name || open && strings.HasPrefix(f.name, prefix) {
				out, found = append(out, f), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no fault %q: -list names them", name)
		}
	}
	return out, nil
}
