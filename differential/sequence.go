package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/gantry-run/gantry/differential/compare"
	"github.com/gantry-run/gantry/differential/corpus"
)

// sequence is requests about one kind, each of which may build on the answers before.
type sequence struct {
	*runner
	slot
	rand      *rand.Rand
	id        string
	namespace string
	// now are the objects that the sequence is about, as each server has it.
	now [2]corpus.Object
	// err ends it: a server did not answer.
	err error
}

// run draws what the sequence does.
func (c *sequence) run(ctx context.Context) {
	n := c.rand.IntN(100)
	switch {
	case c.seed == nil || c.review() || !c.kept() || n < 40:
		creator{c}.creates(ctx)
	case n < 84:
		life{c}.lives(ctx)
	case n < 93:
		lister{c}.lists(ctx)
	default:
		watcher{c}.watches(ctx)
	}
}

// send sends a request to each server at the same time, compares the answers and reports
// whether both are successes.
func (c *sequence) send(ctx context.Context, operation, how string, build func(side int) request) ([2]compare.Answer, bool) {
	var out [2]compare.Answer
	if c.err != nil {
		return out, false
	}
	x := exchange{How: how}
	var errs [2]error
	var both sync.WaitGroup
	for side, s := range c.servers {
		x.Request[side] = build(side)
		both.Go(func() { out[side], errs[side] = s.do(ctx, x.Request[side]) })
	}
	both.Wait()
	for _, err := range errs {
		if err != nil {
			c.err = err
			return out, false
		}
	}
	x.Upstream, x.Ours = out[0], out[1]
	c.sent.Add(1)
	c.tally.note(c.target.String(), operation, compare.Answers(out[0], out[1]), x)
	return out, out[0].Code < 300 && out[1].Code < 300
}

// same is send of the same request to both, but for what each server chose itself.
func (c *sequence) same(ctx context.Context, operation, how string, q request) ([2]compare.Answer, bool) {
	return c.send(ctx, operation, how, func(side int) request {
		q := q
		if side == 1 {
			q.body = c.own(q.body)
		}
		return q
	})
}

func (c *sequence) chance(percent int) bool { return c.rand.IntN(100) < percent }

func (c *sequence) one(of ...string) string { return of[c.rand.IntN(len(of))] }

// query of a write that is not to be kept.
func (c *sequence) dryRun() url.Values {
	return url.Values{"dryRun": {"All"}, "fieldValidation": {c.one("Strict", "Strict", "Strict", "Warn", "Ignore")}}
}

// object is the seed under a name of the sequence's own.
func (c *sequence) object() corpus.Object {
	o := corpus.Object{"apiVersion": c.gvk.GroupVersion().String(), "kind": c.gvk.Kind, "metadata": corpus.Object{"name": "drawn"}}
	if c.seed != nil {
		o = corpus.In(c.namespace, c.seed)
	}
	meta, _ := o["metadata"].(corpus.Object)
	if name, ok := meta["name"].(string); ok && !dry[c.gvk.Kind] {
		meta["name"] = c.rename(name)
	}
	return o
}

func (c *sequence) rename(name string) string {
	if c.gvk.Kind == "IPAddress" {
		n := c.rand.IntN(1 << 16)
		return "10.99." + itoa(n>>8) + "." + itoa(n&255)
	}
	return name + "-" + c.id
}

// creator sends objects that are not kept.
type creator struct{ *sequence }

// creates sends the seed with changes, one at a time; nothing is kept.
func (c creator) creates(ctx context.Context) {
	q := request{method: http.MethodPost, path: c.path(c.namespace), query: c.dryRun()}
	if c.review() {
		q.query = nil
	}
	q.body = c.object()
	if c.seed != nil {
		answers, _ := c.same(ctx, "create", "as it is", q)
		if answers[0].Code >= 400 {
			c.tally.refuse(c.target.String(), answers[0])
		}
	}
	for range 10 {
		if !c.review() {
			q.query = c.dryRun()
		}
		o := c.object()
		if c.seed == nil {
			meta := o["metadata"]
			o, _ = c.schema.Value(c.rand).(corpus.Object)
			o["apiVersion"], o["kind"], o["metadata"] = c.gvk.GroupVersion().String(), c.gvk.Kind, meta
			q.body = o
			c.same(ctx, "create", "drawn", q)
			continue
		}
		if c.chance(7) {
			how := c.rewrite(o)
			q.body = o
			c.same(ctx, "create", how, q)
			continue
		}
		m, ok := corpus.Mutate(c.rand, o, c.schema, corpus.Without())
		if !ok {
			return
		}
		if q.body, ok = m.Apply(o); ok {
			c.same(ctx, "create", m.String(), q)
		}
	}
}

// rewrite changes what a server is particular about in metadata.
func (c creator) rewrite(o corpus.Object) (how string) {
	meta := o["metadata"].(corpus.Object)
	switch how = c.one("generateName", "no name", "bad name", "long name", "resourceVersion", "namespace", "uid", "generation"); how {
	case "generateName":
		delete(meta, "name")
		meta["generateName"] = c.one("made-", "Made_", strings.Repeat("a", 70))
	case "no name":
		delete(meta, "name")
	case "bad name":
		meta["name"] = c.one("A_b", "-a", "a..b", "a/b", "a%b", ".", "a.b", "a:b", "1a")
	case "long name":
		meta["name"] = strings.Repeat("a", 64+c.rand.IntN(200))
	case "resourceVersion":
		meta["resourceVersion"] = "5"
	case "namespace":
		meta["namespace"] = "elsewhere"
	case "uid":
		meta["uid"] = "11111111-2222-3333-4444-555555555555"
	case "generation":
		meta["generation"] = int64(7)
	}
	return how
}
