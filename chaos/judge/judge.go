package judge

import (
	"fmt"
	"slices"
	"time"
)

const (
	// readyWithin is how soon after a heal everything is as it should be, and LeftWithin
	// how soon after that what is over is taken down, on a machine that has nothing else
	// to do.
	readyWithin = 10 * time.Second
	LeftWithin  = 30 * time.Second
	// patientWithin is how long either may take however busy the machine is.
	patientWithin = 5 * time.Minute
)

// Allowed is how long something may take that had to do without a part of the machine, or
// for a part of the time, from 0 to 1: as long as its work alone takes in what is left.
func Allowed(alone time.Duration, without float64) time.Duration {
	if without >= 1-float64(alone)/float64(patientWithin) {
		return patientWithin
	}
	return time.Duration(float64(alone) / (1 - without))
}

// mostWaited is the most of its time that a round is allowed for waiting for a CPU: a
// process of ours that never rests makes others wait too, and shall not be its own excuse.
const mostWaited = 2.0 / 3

// Without is what a round's heal had to do without, of what others had and of the part of
// the time in which something waited for a CPU. That somebody waits tells of the lab's own
// boots as well; what others had tells of those whom the kernel does not see wait, as a
// hypervisor.
func Without(others, waited float64) float64 { return max(min(waited, mostWaited), others) }

// Violation is a promise that was not kept.
type Violation struct {
	Rule string
	At   time.Duration
	Text string
}

func (v Violation) String() string {
	return fmt.Sprintf("%8.1fs  %-15s %s", v.At.Seconds(), v.Rule, v.Text)
}

// Judge returns what was violated, in the order of time.
func Judge(h *History) []Violation {
	out := slices.Concat(registers(h.Ops), watches(h.Ops, h.Seen), identities(h.Alive), completions(h.Pods),
		evictions(h.Pods, h.Nodes, h.Leases), leaders(h.Leases), connections(h.Connections, h.Faults), heals(h.Faults))
	slices.SortStableFunc(out, func(a, b Violation) int { return int(a.At - b.At) })
	return out
}

// identities: there is at most one pod of a StatefulSet's identity, wherever.
func identities(all []Alive) []Violation {
	var out []Violation
	for _, a := range all {
		if len(a.Processes) > 1 {
			out = append(out, Violation{"identity", a.At, fmt.Sprintf("%s is alive %d times: %+v", a.Identity, len(a.Processes), a.Processes)})
		}
	}
	return out
}

// heals: after each heal all is Ready in time, nothing is left over or lost, and
// there is nothing to plan.
func heals(faults []Fault) []Violation {
	var out []Violation
	for _, f := range faults {
		what := fmt.Sprintf("round %d, %s of %v: ", f.Round, f.Name, f.Targets)
		switch after := f.Ready - f.Heal; {
		case f.NotReady != "":
			out = append(out, Violation{"ready", f.Over, what + "it never was as it should be: " + f.NotReady})
		case after > Allowed(readyWithin, Without(f.Others, f.Waited)):
			out = append(out, Violation{"ready", f.Ready, fmt.Sprintf("%sas it should be only %.1f s after the heal (%.0f %% of it somebody waited for a CPU, others had %.0f %% of the machine); after %s: %s",
				what, after.Seconds(), 100*f.Waited, 100*f.Others, readyWithin, f.Late)})
		}
		for _, l := range f.Leftovers {
			out = append(out, Violation{"leftover", f.Over, what + l})
		}
		for _, p := range f.Plan {
			out = append(out, Violation{"plan", f.Over, what + "the plan is not empty: " + p})
		}
		if f.Unapplied != "" {
			out = append(out, Violation{"plan", f.Heal, what + "an apply failed: " + f.Unapplied})
		}
		for _, l := range f.Lost {
			out = append(out, Violation{"lost", f.Over, what + "an acknowledged write is lost: " + l})
		}
	}
	return out
}

// connections that do not end at a host with a fault, on either side, stay and answer.
// A new one may meet an endpoint that is not out of the Service yet, a held one not. What
// was late while the machine stood still is nobody's fault.
func connections(all []Connection, faults []Fault) []Violation {
	var out []Violation
	stood := standstills(all)
	for _, c := range all {
		if c.Error == "" || !c.Held {
			continue
		}
		excused := slices.ContainsFunc(faults, func(f Fault) bool {
			return f.Cuts && f.Begin <= c.At+c.Took && c.At <= f.Over && (slices.Contains(f.Targets, c.From) || slices.Contains(f.Targets, c.Node))
		}) || slices.ContainsFunc(stood, func(s standstill) bool { return s.from < c.At+c.Took && c.At < s.to })
		if !excused {
			out = append(out, Violation{"connection", c.At, fmt.Sprintf("a connection from %s to a pod on %s broke, and neither had a fault: %s", c.From, c.Node, c.Error)})
		}
	}
	return out
}

// standstill is a time in which the machine that has all hosts did nothing for the run.
type standstill struct{ from, to time.Duration }

// noticed is how long nothing is heard of any host before that is a standstill: each asks
// three times a second, and gives up after one.
const noticed = 2 * time.Second

// standstills are the times in which no connection from any host was answered or given up.
func standstills(all []Connection) []standstill {
	var ends []time.Duration
	for _, c := range all {
		ends = append(ends, c.At+c.Took)
	}
	slices.Sort(ends)
	var out []standstill
	for i := 1; i < len(ends); i++ {
		if ends[i]-ends[i-1] > noticed {
			out = append(out, standstill{ends[i-1], ends[i]})
		}
	}
	return out
}
