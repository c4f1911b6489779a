package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/differential/corpus"
)

// pointer is a path as JSON patches have it.
func pointer(path []any) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		if name, ok := p.(string); ok {
			b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
		} else {
			b.WriteString(itoa(p.(int)))
		}
	}
	return b.String()
}

func (c life) jsonPatch(ctx context.Context) {
	m, ok := c.mutation("status")
	if !ok {
		return
	}
	op := corpus.Object{"op": "replace", "path": pointer(m.Path)}
	if m.Removes() {
		op["op"] = "remove"
	} else {
		op["value"] = m.Value()
		if m.How == "add" {
			op["op"] = "add"
		}
	}
	patch := []any{op}
	switch c.rand.IntN(8) {
	case 0:
		patch = append([]any{corpus.Object{"op": "test", "path": "/metadata/name", "value": c.one(c.name(), "other")}}, patch...)
	case 1:
		patch = append(patch, corpus.Object{"op": c.one("move", "copy"), "from": "/metadata/labels", "path": "/metadata/annotations"})
	}
	c.same(ctx, "JSON patch", m.String(), request{method: http.MethodPatch, path: c.at(), query: c.dryRun(), contentType: typeJSONPatch, body: patch})
}

// partial is a patch that brings the change about: its place, or the list that it is in,
// as a whole.
func (c life) partial(m corpus.Mutation) (corpus.Object, bool) {
	changed, ok := m.Apply(c.now[0])
	if !ok {
		return nil, false
	}
	out := corpus.Object{}
	at := out
	for i, p := range m.Path {
		name := p.(string)
		if i == len(m.Path)-1 {
			if m.Removes() {
				at[name] = nil
			} else {
				at[name] = m.Value()
			}
			return out, true
		}
		if _, inList := m.Path[i+1].(int); inList {
			at[name] = value(changed, m.Path[:i+1])
			return out, true
		}
		next := corpus.Object{}
		at[name] = next
		at = next
	}
	return nil, false
}

func value(o corpus.Object, path []any) any {
	var at any = o
	for _, p := range path {
		at = field(at, p.(string))
	}
	return runtime.DeepCopyJSONValue(at)
}

func (c life) mergePatch(ctx context.Context) { c.patch(ctx, "merge patch", typeMerge) }
func (c life) strategicPatch(ctx context.Context) {
	c.patch(ctx, "strategic patch", typeStrategic)
}

func (c life) patch(ctx context.Context, operation, contentType string) {
	m, ok := c.mutation("status")
	if !ok {
		return
	}
	if patch, ok := c.partial(m); ok {
		c.same(ctx, operation, m.String(), request{method: http.MethodPatch, path: c.at(), query: c.dryRun(), contentType: contentType, body: patch})
	}
}

// apply sends a part of the seed, changed, under the name of one manager or another; some of
// them are kept, so that there are conflicts.
func (c life) apply(ctx context.Context) {
	o := c.object()
	meta := o["metadata"].(corpus.Object)
	meta["name"] = c.name()
	delete(o, "status")
	how := "as it is"
	query := url.Values{"fieldManager": {c.one("a", "b")}}
	if c.chance(60) {
		query.Set("force", "true")
	}
	if c.chance(80) {
		m, ok := corpus.Mutate(c.rand, o, c.schema, corpus.Without("status"))
		if !ok {
			return
		}
		changed, ok := m.Apply(o)
		if !ok {
			return
		}
		o, how = changed, m.String()
		query.Set("dryRun", "All")
		query.Set("fieldValidation", c.one("Strict", "Warn"))
	}
	answers, ok := c.same(ctx, "apply", how, request{method: http.MethodPatch, path: c.at(), query: query, contentType: typeApply, body: o})
	if !query.Has("dryRun") {
		if ok {
			c.keep(answers)
		} else if (answers[0].Code < 300) != (answers[1].Code < 300) {
			c.reset(ctx)
		}
	}
}
