package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// operation is what was done on servers for one resource, for who looks at it
// afterwards. A nil one keeps nothing.
type operation struct {
	title string
	begun time.Time

	mu    sync.Mutex
	hosts map[string]*record
}

// record is an operation on one host.
type record struct {
	steps []step.Event // ended ones
	conns []carrier
}

// carrier is a connection that knows what it has carried.
type carrier interface{ Traffic() (sent, received int64) }

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

// operation begins one: engines that are made with what it returns tell it what
// they do, and end writes its summary to log_dir.
func (s *session) operation(ctx context.Context, title string) (_ context.Context, end func()) {
	op := &operation{title: title, begun: time.Now(), hosts: map[string]*record{}}
	return context.WithValue(ctx, operationKey{}, op), func() {
		took := time.Since(op.begun)
		s.write(ctx, op.summary(took), op.records(took)...)
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

func (o *operation) connected(h host.Host) {
	if c, ok := h.(carrier); ok {
		o.on(h.Name(), func(r *record) { r.conns = append(r.conns, c) })
	}
}

func (o *operation) event(e step.Event) {
	if e.State != step.Began && e.Host != "" {
		o.on(e.Host, func(r *record) { r.steps = append(r.steps, e) })
	}
}

// records are the lines of the machine's log: how much went to and from each host.
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

// summary is for a person: what took how long where, and what failed.
func (o *operation) summary(took time.Duration) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s, %d hosts\n", o.begun.Format(time.DateTime), o.title, seconds(took), len(o.hosts))
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(o.hosts)) {
		r := o.hosts[name]
		sent, received := r.traffic()
		fmt.Fprintf(w, "  %s\t%s\tsent %s, received %s\n", name, seconds(r.took()), bytesText(sent), bytesText(received))
		for _, e := range r.steps {
			why := ""
			if e.State == step.Failed {
				why = "FAILED"
				if e.Err != nil {
					why += ": " + firstLine(cause(e.Err).Error())
				}
			}
			fmt.Fprintf(w, "    %s\t%s\t%s\n", e.Step, seconds(e.Took), why)
		}
	}
	w.Flush() //nolint:errcheck // to memory
	b.WriteString("\n")
	return b.String()
}

// cause is the failure without the host and the step, which are above it.
func cause(err error) error {
	if failed := (*step.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func bytesText(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
