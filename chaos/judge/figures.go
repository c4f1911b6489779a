package judge

import (
	"fmt"
	"io"
	"slices"
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
	// Dead is the longest time after a fault at which the Service still sent a new
	// connection, from a host without a fault, to where nobody answers.
	Dead time.Duration
	// Elsewhere is the longest time until the application's replicas were all Ready on
	// other nodes: zero if no round lasted that long or none was on a target.
	Elsewhere time.Duration
}

// Measure computes the figures of a history by kind of fault, in the order of names.
// App is the kind and name of the owner of the application's pods, which are as many.
func Measure(h *History, app string, replicas int) []Figures {
	by := map[string]*Figures{}
	var names []string
	for _, f := range h.Faults {
		g := by[f.Name]
		if g == nil {
			g = &Figures{Fault: f.Name}
			by[f.Name], names = g, append(names, f.Name)
		}
		g.Rounds++
		if f.NotReady == "" {
			g.Ready = append(g.Ready, f.Ready-f.Heal)
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
			if !c.Held && c.Error != "" && c.At >= f.Begin && c.At < f.Over && !slices.Contains(f.Targets, c.From) {
				g.Dead = max(g.Dead, c.At-f.Begin)
			}
		}
		g.Elsewhere = max(g.Elsewhere, elsewhere(h.Pods, f, app, replicas))
	}
	slices.Sort(names)
	var out []Figures
	for _, n := range names {
		out = append(out, *by[n])
	}
	return out
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
	_, err := fmt.Fprint(w, "| fault | rounds | requests | failed | slowest | Ready after heal: median, most | dead endpoint for | replicas elsewhere after |\n|---|---|---|---|---|---|---|---|\n")
	for _, g := range all {
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "| %s | %d | %d | %d | %s | %s | %s | %s |\n", g.Fault, g.Rounds, g.Requests, g.Failed, seconds(g.Slowest), spread(g.Ready), seconds(g.Dead), seconds(g.Elsewhere))
	}
	return err
}

func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "never"
	}
	sorted := slices.Sorted(slices.Values(all))
	return seconds(sorted[len(sorted)/2]) + ", " + seconds(sorted[len(sorted)-1])
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
