package runlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/provider/diagnose"
)

// operation is what was done on hosts for one resource. A nil one keeps nothing.
type operation struct {
	title string
	begun time.Time

	mu    sync.Mutex
	hosts map[string]*record
}

// record is an operation on one host.
type record struct {
	steps []step.Event // that have ended
	conns []trafficCounter
}

// trafficCounter is a connection that knows how many bytes it has carried.
type trafficCounter interface{ Traffic() (sent, received int64) }

func (r *record) traffic() (sent, received int64) {
	for _, c := range r.conns {
		s, n := c.Traffic()
		sent, received = sent+s, received+n
	}
	return sent, received
}

func (r *record) took() (all time.Duration) {
	for _, e := range r.steps {
		all += e.Took
	}
	return all
}

type operationKey struct{}

func operationOf(ctx context.Context) *operation {
	op, _ := ctx.Value(operationKey{}).(*operation)
	return op
}

func newOperation(title string, now time.Time) *operation {
	return &operation{title: title, begun: now, hosts: map[string]*record{}}
}

// Connected tells the operation of the context, if there is one, of a connection that
// it uses: what that carries is counted to it.
func Connected(ctx context.Context, h host.Host) {
	if c, ok := h.(trafficCounter); ok {
		operationOf(ctx).on(h.Name(), func(r *record) { r.conns = append(r.conns, c) })
	}
}

func (o *operation) event(e step.Event) {
	if e.State != step.Began && e.Host != "" {
		o.on(e.Host, func(r *record) { r.steps = append(r.steps, e) })
	}
}

func (o *operation) on(name string, do func(*record)) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hosts[name] == nil {
		o.hosts[name] = &record{}
	}
	do(o.hosts[name])
}

// records are the lines of JSON at the end: how much went to and from each host.
func (o *operation) records(took time.Duration) []map[string]any {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []map[string]any{{"operation": o.title, "took": took.Round(time.Millisecond).String(), "hosts": len(o.hosts)}}
	for _, name := range slices.Sorted(maps.Keys(o.hosts)) {
		sent, received := o.hosts[name].traffic()
		out = append(out, map[string]any{"operation": o.title, "host": name, "sent_bytes": sent, "received_bytes": received})
	}
	return out
}

// summary is for people: what took how long where, and what failed.
func (o *operation) summary(took time.Duration) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s, %d hosts\n", o.begun.Format(time.DateTime), o.title, seconds(took), len(o.hosts))
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(o.hosts)) {
		r := o.hosts[name]
		sent, received := r.traffic()
		fmt.Fprintf(w, "  %s\t%s\tsent %s, received %s\n", name, seconds(r.took()), size(sent), size(received))
		for _, e := range r.steps {
			why := ""
			if e.State == step.Failed {
				why = "FAILED"
				if e.Err != nil {
					why += ": " + diagnose.FirstLine(diagnose.Cause(e.Err).Error())
				}
			}
			fmt.Fprintf(w, "    %s\t%s\t%s\n", e.Step, seconds(e.Took), why)
		}
	}
	w.Flush() // a strings.Builder takes everything
	b.WriteString("\n")
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// size is a number of bytes in kB, or in MB from 1 MB on.
func size(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
