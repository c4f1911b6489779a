package judge

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Figures are those of all rounds of one kind of fault.
type Figures struct {
	Fault  string
	Rounds int
	// Requests that began between the fault and the end of its round, how many were
	// not answered with all their retries, and the longest that one took.
	Requests, Failed int
	Slowest          time.Duration
	// Ready are the times from a heal until all was as it should be.
	Ready []time.Duration
	// Dead is the longest time after a fault, until all was well again, at which the
	// Service still sent a new connection, from a host without a fault, to where nobody is.
	Dead time.Duration
	// Elsewhere is the longest time until the application's replicas were all Ready on
	// other nodes: zero if no round lasted that long or none was on a target.
	Elsewhere time.Duration
	// Repair are the times of the applies that were heals.
	Repair []time.Duration
	// Lost is how many acknowledged writes were lost.
	Lost int
}

// atOnce is the row of all rounds with two faults.
const atOnce = "two at once"

// Merge adds the figures of other runs of the same kinds of fault.
func Merge(all ...[]Figures) []Figures {
	by := map[string]Figures{}
	for _, f := range slices.Concat(all...) {
		g := by[f.Fault]
		g.Fault = f.Fault
		g.Rounds, g.Requests, g.Failed, g.Lost = g.Rounds+f.Rounds, g.Requests+f.Requests, g.Failed+f.Failed, g.Lost+f.Lost
		g.Slowest, g.Dead, g.Elsewhere = max(g.Slowest, f.Slowest), max(g.Dead, f.Dead), max(g.Elsewhere, f.Elsewhere)
		g.Ready, g.Repair = slices.Concat(g.Ready, f.Ready), slices.Concat(g.Repair, f.Repair)
		by[f.Fault] = g
	}
	return slices.SortedFunc(maps.Values(by), func(a, b Figures) int { return strings.Compare(a.Fault, b.Fault) })
}

// Measure computes the figures of a history by kind of fault, in the order of names.
// App is the kind and name of the owner of the application's pods, which are as many.
func Measure(h *History, app string, replicas int) []Figures {
	var rounds [][]Figures
	for _, f := range h.Faults {
		g := Figures{Fault: f.Name, Rounds: 1, Lost: len(f.Lost), Elsewhere: elsewhere(h.Pods, f, app, replicas)}
		if strings.Contains(f.Name, AndAtOnce) {
			g.Fault = atOnce
		}
		if f.NotReady == "" {
			g.Ready = append(g.Ready, f.Ready-f.Heal)
		}
		if f.Repair > 0 {
			g.Repair = append(g.Repair, f.Repair)
		}
		for _, r := range h.Requests {
			if r.Start+r.Took < f.Begin || r.Start >= f.Over {
				continue
			}
			g.Requests++
			g.Slowest = max(g.Slowest, r.Took)
			if r.Failed {
				g.Failed++
			}
		}
		for _, c := range h.Connections {
			// Where nobody is nobody shakes hands; who is late with an answer is somebody.
			if !c.Held && strings.HasPrefix(c.Error, "dial ") && c.At >= f.Begin && c.At < max(f.Ready, f.Heal) && !slices.Contains(f.Targets, c.From) {
				g.Dead = max(g.Dead, c.At-f.Begin)
			}
		}
		rounds = append(rounds, []Figures{g})
	}
	return Merge(rounds...)
}

// elsewhere is how long after a fault all replicas were Ready on hosts without one,
// if some were not when it came, and it lasted so long.
func elsewhere(pods []Pod, f Fault, app string, replicas int) time.Duration {
	ready := map[string]bool{}
	for _, p := range pods {
		if !ownedBy(p, app) || p.At > f.Heal {
			continue
		}
		if p.At > f.Begin && len(ready) == replicas {
			return 0 // none was there
		}
		delete(ready, p.UID)
		if p.Ready && !p.Deleting && !p.Gone && !slices.Contains(f.Targets, p.Node) {
			ready[p.UID] = true
		}
		if p.At > f.Begin && len(ready) == replicas {
			return p.At - f.Begin
		}
	}
	return 0
}

func ownedBy(p Pod, app string) bool {
	return len(p.Owner) > len(app) && p.Owner[:len(app)] == app
}

// WriteTable writes figures as a table in Markdown.
func WriteTable(w io.Writer, all []Figures) error {
	_, err := fmt.Fprint(w, "| fault | rounds | requests | failed | slowest | lost | Ready after heal: median, most | dead endpoint for | replicas elsewhere after | repaired by one apply in: median, most |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, g := range all {
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "| %s | %d | %d | %d | %s | %d | %s | %s | %s | %s |\n", g.Fault, g.Rounds, g.Requests, g.Failed, seconds(g.Slowest), g.Lost,
			spread(g.Ready, "never"), seconds(g.Dead), seconds(g.Elsewhere), spread(g.Repair, "–"))
	}
	return err
}

// spread is the median and the most; none is what is said of none.
func spread(all []time.Duration, none string) string {
	if len(all) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return seconds((sorted[(n-1)/2]+sorted[n/2])/2) + ", " + seconds(sorted[n-1])
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
