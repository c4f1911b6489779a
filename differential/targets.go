package main

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gantry-run/gantry/differential/corpus"
)

// target is a kind that upstream serves, in one version.
type target struct {
	gvk        schema.GroupVersionKind
	resource   string
	namespaced bool
	verbs      []string
	// subresources are their verbs, by name.
	subresources map[string][]string
	seeds        []corpus.Object
	schema       corpus.Schema
}

// dry are kinds of which no object is kept: it would change what the servers do with others,
// or they write to it at times of their own.
var dry = map[string]bool{"CustomResourceDefinition": true, "APIService": true, "FlowSchema": true, "PriorityLevelConfiguration": true, "ServiceCIDR": true}

// limiting are kinds whose objects limit others of their namespace: they have one of their own.
var limiting = map[string]bool{"LimitRange": true, "ResourceQuota": true}

func (t *target) can(verb string) bool { return slices.Contains(t.verbs, verb) }

// review says that objects are answered and not kept.
func (t *target) review() bool { return t.can("create") && !t.can("get") }

// kept says that objects can be made and taken away again.
func (t *target) kept() bool {
	return t.can("create") && t.can("get") && t.can("delete") && !dry[t.gvk.Kind]
}

func groupPath(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "/api/" + gv.Version
	}
	return "/apis/" + gv.Group + "/" + gv.Version
}

// path of the collection, in that namespace.
func (t *target) path(namespace string) string {
	p := groupPath(t.gvk.GroupVersion())
	if t.namespaced {
		p = path.Join(p, "namespaces", namespace)
	}
	return path.Join(p, t.resource)
}

// name by which the report speaks of it.
func (t *target) String() string {
	if t.gvk.Group == "" {
		return t.gvk.Kind
	}
	return t.gvk.Kind + "." + t.gvk.Version + "." + t.gvk.Group
}

// groupVersions that a server serves, in a fixed order.
func groupVersions(ctx context.Context, s *server) ([]schema.GroupVersion, error) {
	a, err := s.do(ctx, request{method: http.MethodGet, path: "/apis"})
	if err != nil {
		return nil, err
	}
	out := []schema.GroupVersion{{Version: "v1"}}
	for _, g := range list(field(a.Body, "groups")) {
		for _, v := range list(field(g, "versions")) {
			gv, err := schema.ParseGroupVersion(str(field(v, "groupVersion")))
			if err != nil {
				return nil, err
			}
			out = append(out, gv)
		}
	}
	slices.SortFunc(out, func(a, b schema.GroupVersion) int { return strings.Compare(a.String(), b.String()) })
	return out, nil
}

// targets are the kinds of one version of a group.
func targets(ctx context.Context, s *server, gv schema.GroupVersion) ([]*target, error) {
	a, err := s.do(ctx, request{method: http.MethodGet, path: groupPath(gv)})
	if err != nil {
		return nil, err
	}
	if a.Code != http.StatusOK {
		return nil, fmt.Errorf("discovery of %s answers %d", gv, a.Code)
	}
	byResource := map[string]*target{}
	var out []*target
	resources := list(field(a.Body, "resources"))
	for _, r := range resources {
		name := str(field(r, "name"))
		if strings.Contains(name, "/") {
			continue
		}
		namespaced, _ := field(r, "namespaced").(bool)
		t := &target{gvk: gv.WithKind(str(field(r, "kind"))), resource: name, namespaced: namespaced, verbs: strs(field(r, "verbs")), subresources: map[string][]string{}}
		byResource[name] = t
		out = append(out, t)
	}
	for _, r := range resources {
		name, sub, ok := strings.Cut(str(field(r, "name")), "/")
		if t := byResource[name]; ok && t != nil {
			t.subresources[sub] = strs(field(r, "verbs"))
		}
	}
	return out, nil
}

// field of a decoded object, by its path; nil where there is none.
func field(o any, names ...string) any {
	for _, n := range names {
		m, _ := o.(map[string]any)
		o = m[n]
	}
	return o
}

func list(v any) []any { l, _ := v.([]any); return l }
func str(v any) string { s, _ := v.(string); return s }

func strs(v any) []string {
	var out []string
	for _, s := range list(v) {
		out = append(out, str(s))
	}
	return out
}
