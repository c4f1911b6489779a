package main

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gantry-run/gantry/differential/corpus"
)

// parts are the subresources of an object.
type parts struct{ life }

// status writes to the status subresource, or to the object where it has none.
func (c parts) status(ctx context.Context) {
	if c.subresources["status"] == nil {
		return
	}
	m, ok := corpus.Mutate(c.rand, withStatus(c.now[0]), c.schema, func(path []any) bool { return path[0] != "status" })
	if c.chance(20) {
		m, ok = c.mutation("status") // a status write that changes something else
	}
	if !ok {
		return
	}
	if c.chance(50) {
		c.put(ctx, "update status", m, c.at("status"), c.dryRun())
		return
	}
	if patch, ok := c.partial(m); ok {
		operation, contentType := "patch status", typeMerge
		switch c.rand.IntN(3) {
		case 0:
			contentType = typeStrategic
		case 1:
			contentType, operation = typeApply, "apply status"
			patch["apiVersion"], patch["kind"] = c.gvk.GroupVersion().String(), c.gvk.Kind
			patch["metadata"] = corpus.Object{"name": c.name()}
		}
		q := request{method: http.MethodPatch, path: c.at("status"), query: c.dryRun(), contentType: contentType, body: patch}
		if contentType == typeApply {
			q.query.Set("fieldManager", "status")
			q.query.Set("force", "true")
			q.query.Set("fieldValidation", "Strict")
		}
		c.same(ctx, operation, m.String(), q)
	}
}

func withStatus(o corpus.Object) corpus.Object {
	if _, ok := o["status"]; ok {
		return o
	}
	o = runtime.DeepCopyJSON(o)
	o["status"] = corpus.Object{}
	return o
}

// posted are objects that are created at a subresource.
func (c parts) posted(name string) (corpus.Object, schema.GroupVersionKind) {
	meta := corpus.Object{"name": c.name()}
	switch name {
	case "binding":
		gvk := schema.GroupVersionKind{Version: "v1", Kind: "Binding"}
		return corpus.Object{"metadata": meta, "target": corpus.Object{"apiVersion": "v1", "kind": "Node", "name": "n1"}}, gvk
	case "eviction":
		gvk := schema.GroupVersionKind{Group: "policy", Version: "v1", Kind: "Eviction"}
		return corpus.Object{"metadata": meta, "deleteOptions": corpus.Object{"gracePeriodSeconds": int64(5)}}, gvk
	case "token":
		gvk := schema.GroupVersionKind{Group: "authentication.k8s.io", Version: "v1", Kind: "TokenRequest"}
		return corpus.Object{"spec": corpus.Object{"audiences": []any{"vault"}, "expirationSeconds": int64(3600)}}, gvk
	}
	return nil, schema.GroupVersionKind{}
}

// streamed are subresources that a kubelet answers.
var streamed = map[string]bool{"log": true, "exec": true, "attach": true, "portforward": true, "proxy": true, "status": true}

// subresource draws one of the others.
func (c parts) subresource(ctx context.Context) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(c.subresources)), func(n string) bool { return streamed[n] })
	if len(names) == 0 {
		return
	}
	name := names[c.rand.IntN(len(names))]
	verbs := c.subresources[name]
	switch {
	case name == "scale":
		c.scale(ctx)
	case slices.Contains(verbs, "create") && !slices.Contains(verbs, "update"):
		c.post(ctx, name)
	case name == "ephemeralcontainers" && c.chance(70):
		c.debug(ctx)
	default:
		m, ok := c.mutation()
		if !ok {
			return
		}
		if c.chance(50) {
			c.put(ctx, "update "+name, m, c.at(name), c.dryRun())
		} else if patch, ok := c.partial(m); ok {
			c.same(ctx, "patch "+name, m.String(), request{method: http.MethodPatch, path: c.at(name), query: c.dryRun(), contentType: typeStrategic, body: patch})
		}
	}
}

func (c parts) post(ctx context.Context, name string) {
	o, gvk := c.posted(name)
	if o == nil {
		return
	}
	o["apiVersion"], o["kind"] = gvk.GroupVersion().String(), gvk.Kind
	how := "as it is"
	if c.chance(75) {
		m, ok := corpus.Mutate(c.rand, o, c.schemas.Of(gvk), corpus.Without())
		if !ok {
			return
		}
		changed, ok := m.Apply(o)
		if !ok {
			return
		}
		o, how = changed, m.String()
	}
	c.same(ctx, "create "+name, how, request{method: http.MethodPost, path: c.at(name), query: url.Values{"dryRun": {"All"}, "fieldValidation": {"Strict"}}, body: o})
}

func (c parts) scale(ctx context.Context) {
	switch c.rand.IntN(4) {
	case 0:
		c.same(ctx, "get scale", "", request{method: http.MethodGet, path: c.at("scale")})
	case 1:
		c.same(ctx, "patch scale", "", request{method: http.MethodPatch, path: c.at("scale"), query: url.Values{"fieldManager": {"scaler"}}, contentType: typeMerge, body: corpus.Object{"spec": corpus.Object{"replicas": c.rand.IntN(4)}}})
	default:
		gvk := schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}
		o := corpus.Object{"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": corpus.Object{"name": c.name(), "namespace": c.namespace}, "spec": corpus.Object{"replicas": int64(2)}}
		m, ok := corpus.Mutate(c.rand, o, c.schemas.Of(gvk), corpus.Without())
		if !ok {
			return
		}
		if changed, ok := m.Apply(o); ok {
			c.same(ctx, "update scale", m.String(), request{method: http.MethodPut, path: c.at("scale"), query: c.dryRun(), body: changed})
		}
	}
}

// debug adds an ephemeral container, as kubectl debug does.
func (c parts) debug(ctx context.Context) {
	container := corpus.Object{"name": "debug", "image": "busybox", "targetContainerName": c.one("c", "web", "none"), "stdin": true}
	how := "as it is"
	if c.chance(70) {
		var ok bool
		m, found := corpus.Mutate(c.rand, container, c.schemas.Of(schema.GroupVersionKind{Version: "v1", Kind: "Pod"}).At("spec", "ephemeralContainers", 0), func([]any) bool { return false })
		if !found {
			return
		}
		if container, ok = m.Apply(container); !ok {
			return
		}
		how = m.String()
	}
	patch := corpus.Object{"spec": corpus.Object{"ephemeralContainers": []any{container}}}
	c.same(ctx, "patch ephemeralcontainers", how, request{method: http.MethodPatch, path: c.at("ephemeralcontainers"), query: c.dryRun(), contentType: typeStrategic, body: patch})
}
