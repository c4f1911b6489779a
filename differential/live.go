package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/differential/compare"
	"github.com/gantry-run/gantry/differential/corpus"
)

func itoa(n int) string { return strconv.Itoa(n) }

// name of the object that the sequence is about.
func (c *sequence) name() string { return str(field(c.now[0], "metadata", "name")) }

func (c *sequence) at(subresource ...string) string {
	p := c.path(c.namespace) + "/" + url.PathEscape(c.name())
	for _, s := range subresource {
		p += "/" + s
	}
	return p
}

// keep takes the answers as what is stored now.
func (c *sequence) keep(answers [2]compare.Answer) bool {
	for side, a := range answers {
		o, ok := a.Body.(corpus.Object)
		if !ok {
			return false
		}
		c.now[side] = o
	}
	return true
}

// life is what becomes of one object.
type life struct{ *sequence }

// lives makes an object, works on it and takes it away.
func (c life) lives(ctx context.Context) {
	if !c.make(ctx) {
		return
	}
	steps := []func(context.Context){
		c.update, c.update, c.update, c.jsonPatch, c.mergePatch, c.mergePatch, c.strategicPatch, c.strategicPatch,
		c.apply, c.apply, parts{c}.status, parts{c}.status, parts{c}.subresource, parts{c}.subresource, c.read, c.touch, c.stale, c.change, c.deleteInVain, c.selected,
	}
	for range 14 {
		steps[c.rand.IntN(len(steps))](ctx)
		if c.err != nil || c.name() == "" {
			return
		}
	}
	c.remove(ctx)
}

// make creates the seed, and reports whether both servers have.
func (c *sequence) make(ctx context.Context) bool {
	o := c.object()
	meta := o["metadata"].(corpus.Object)
	labels, _ := meta["labels"].(corpus.Object)
	if labels == nil {
		labels = corpus.Object{}
	}
	labels["sequence"] = c.id
	meta["labels"] = labels
	q := request{method: http.MethodPost, path: c.path(c.namespace), body: o, query: url.Values{"fieldManager": {"maker"}}}
	answers, ok := c.same(ctx, "create", "kept", q)
	return ok && c.keep(answers)
}

// changed is what is stored, as a client would send it back, with a change; false where the
// change does not fit both.
func (c life) changed(m corpus.Mutation) ([2]corpus.Object, bool) {
	var out [2]corpus.Object
	for side, o := range c.now {
		changed, ok := m.Apply(o)
		if !ok {
			return out, false
		}
		meta, ok := changed["metadata"].(corpus.Object)
		if !ok {
			return out, false
		}
		delete(meta, "managedFields")
		if c.rand.IntN(2) == 0 && side == 0 {
			delete(meta, "resourceVersion")
		}
		out[side] = changed
	}
	// The same is left out on both sides.
	if field(out[0], "metadata", "resourceVersion") == nil {
		delete(out[1]["metadata"].(corpus.Object), "resourceVersion")
	}
	return out, true
}

// mutation of what is stored. Metadata as a whole stays: it holds what each server made.
func (c life) mutation(skip ...string) (corpus.Mutation, bool) {
	without := corpus.Without(skip...)
	for range 4 {
		m, ok := corpus.Mutate(c.rand, c.now[0], c.schema, without)
		if !ok || len(m.Path) > 1 || m.Path[0] != "metadata" {
			return m, ok
		}
	}
	return corpus.Mutation{}, false
}

func (c life) update(ctx context.Context) {
	m, ok := c.mutation("status")
	if !ok {
		return
	}
	c.put(ctx, "update", m, c.at(), c.dryRun())
}

// put sends the changed object to a path.
func (c life) put(ctx context.Context, operation string, m corpus.Mutation, path string, query url.Values) ([2]compare.Answer, bool) {
	bodies, ok := c.changed(m)
	if !ok {
		return [2]compare.Answer{}, false
	}
	return c.send(ctx, operation, m.String(), func(side int) request {
		return request{method: http.MethodPut, path: path, query: query, body: bodies[side]}
	})
}

// change keeps an update, where both servers take it.
func (c life) change(ctx context.Context) {
	m, ok := c.mutation("status")
	if !ok {
		return
	}
	answers, ok := c.put(ctx, "update", m, c.at(), url.Values{"fieldManager": {"changer"}})
	if ok {
		c.keep(answers)
		return
	}
	// One of them may have taken it: what follows would compare different objects.
	if (answers[0].Code < 300) != (answers[1].Code < 300) {
		c.reset(ctx)
	}
}

// reset writes upstream's object to neither: the sequence begins anew with another object.
func (c life) reset(ctx context.Context) {
	c.remove(ctx)
	c.id += "r"
	if !c.make(ctx) && c.err == nil {
		c.now = [2]corpus.Object{}
	}
}

// stale updates carry metadata that does not fit what is stored.
func (c life) stale(ctx context.Context) {
	how := c.one("resourceVersion", "uid", "name", "no resourceVersion", "other kind", "generation", "deletionTimestamp")
	c.send(ctx, "update of metadata", how, func(side int) request {
		o := runtime.DeepCopyJSON(c.now[side])
		meta, _ := o["metadata"].(corpus.Object)
		if meta == nil {
			meta = corpus.Object{}
			o["metadata"] = meta
		}
		switch how {
		case "resourceVersion":
			meta["resourceVersion"] = "1"
		case "uid":
			meta["uid"] = "11111111-2222-3333-4444-555555555555"
		case "name":
			meta["name"] = "other"
		case "no resourceVersion":
			delete(meta, "resourceVersion")
		case "other kind":
			o["kind"] = "Binding"
		case "generation":
			meta["generation"] = 77
		case "deletionTimestamp":
			meta["deletionTimestamp"] = "2026-01-02T03:04:05Z"
		}
		return request{method: http.MethodPut, path: c.at(), query: url.Values{"dryRun": {"All"}}, body: o}
	})
}

// touch keeps a small patch that every kind takes.
func (c life) touch(ctx context.Context) {
	patch := corpus.Object{"metadata": corpus.Object{"labels": corpus.Object{"touched": itoa(c.rand.IntN(3))}, "annotations": corpus.Object{"a": nil, "b": c.one("1", "2")}}}
	answers, ok := c.same(ctx, "merge patch", "touch", request{method: http.MethodPatch, path: c.at(), contentType: typeMerge, body: patch, query: url.Values{"fieldManager": {"toucher"}}})
	if ok {
		c.keep(answers)
	}
}

// read gets the object in several forms.
func (c life) read(ctx context.Context) {
	q := request{method: http.MethodGet, path: c.at()}
	operation := "get"
	switch c.rand.IntN(4) {
	case 0, 1:
		q.accept, operation = typeTable, "table"
	case 2:
		q.accept = typePartial
	}
	c.same(ctx, operation, q.accept, q)
}

// deleteInVain sends deletes that delete nothing.
func (c life) deleteInVain(ctx context.Context) {
	how := c.one("dry run", "uid", "resourceVersion", "bad policy", "negative grace", "both policies", "orphan", "foreground")
	c.send(ctx, "delete in vain", how, func(int) request {
		o := corpus.Object{"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": []any{"All"}}
		switch how {
		case "uid":
			o["preconditions"] = corpus.Object{"uid": "11111111-2222-3333-4444-555555555555"}
		case "resourceVersion":
			o["preconditions"] = corpus.Object{"resourceVersion": "1"}
		case "bad policy":
			o["propagationPolicy"] = "Sideways"
		case "negative grace":
			o["gracePeriodSeconds"] = -1
		case "both policies":
			o["propagationPolicy"], o["orphanDependents"] = "Orphan", true
		case "orphan":
			o["propagationPolicy"] = "Orphan"
		case "foreground":
			o["propagationPolicy"] = "Foreground"
		}
		return request{method: http.MethodDelete, path: c.at(), body: o}
	})
}

// remove deletes the object, and looks for what is left of it.
func (c *sequence) remove(ctx context.Context) {
	if c.name() == "" {
		return
	}
	query := url.Values{}
	if c.chance(50) {
		query.Set("gracePeriodSeconds", "0")
	}
	if policy := c.one("", "", "Background", "Foreground", "Orphan"); policy != "" {
		query.Set("propagationPolicy", policy)
	}
	c.same(ctx, "delete", query.Encode(), request{method: http.MethodDelete, path: c.at(), query: query})
	c.same(ctx, "get", "after the delete", request{method: http.MethodGet, path: c.at()})
}
