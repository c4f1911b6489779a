package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// round is one fault at its targets, for a time.
type round struct {
	number  int
	fault   fault
	targets []string
	hold    time.Duration
}

// schedule draws rounds: each fault comes once before any comes again. The same seed
// and faults give the same rounds.
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
	if len(s.left) == 0 {
		s.left = slices.Clone(s.faults)
		s.rand.Shuffle(len(s.left), func(i, j int) { s.left[i], s.left[j] = s.left[j], s.left[i] })
	}
	f := s.left[0]
	s.left = s.left[1:]
	s.n++
	hold := f.hold[0] + time.Duration(s.rand.Int64N(int64(f.hold[1]-f.hold[0])+1))
	return round{number: s.n, fault: f, targets: f.targets(s.draw()), hold: hold.Round(time.Millisecond)}
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
