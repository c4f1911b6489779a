package corpus

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Schemas are the OpenAPI schemas of kinds, as one API server publishes them.
type Schemas struct {
	byKind map[schema.GroupVersionKind]Schema
}

// Schema says what may stand at a place of an object. The zero Schema knows nothing.
type Schema struct {
	node *node
	all  map[string]*node
}

// node is the part of an OpenAPI v3 schema that mutations look at.
type node struct {
	Type                 string           `json:"type"`
	Format               string           `json:"format"`
	Enum                 []any            `json:"enum"`
	Properties           map[string]*node `json:"properties"`
	Items                *node            `json:"items"`
	AdditionalProperties *node            `json:"additionalProperties"`
	AllOf                []*node          `json:"allOf"`
	Ref                  string           `json:"$ref"`
	Required             []string         `json:"required"`
	GVK                  []struct {
		Group, Version, Kind string
	} `json:"x-kubernetes-group-version-kind"`
}

// NewSchemas reads documents of /openapi/v3.
func NewSchemas(documents ...[]byte) (Schemas, error) {
	s := Schemas{map[schema.GroupVersionKind]Schema{}}
	for _, data := range documents {
		var doc struct {
			Components struct {
				Schemas map[string]*node `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(data, &doc); err != nil {
			return s, fmt.Errorf("OpenAPI document: %w", err)
		}
		for _, n := range doc.Components.Schemas {
			// DeleteOptions and the like belong to every group: they are no kind of one.
			if len(n.GVK) == 1 {
				g := n.GVK[0]
				s.byKind[schema.GroupVersionKind{Group: g.Group, Version: g.Version, Kind: g.Kind}] = Schema{n, doc.Components.Schemas}
			}
		}
	}
	return s, nil
}

// Of is the schema of a kind.
func (s Schemas) Of(gvk schema.GroupVersionKind) Schema { return s.byKind[gvk] }

// resolved follows references, and the name of the last one.
func (s Schema) resolved() (*node, string) {
	n, name := s.node, ""
	for n != nil {
		switch {
		case n.Ref != "":
			name = n.Ref[strings.LastIndex(n.Ref, "/")+1:]
			n = s.all[name]
		case len(n.AllOf) == 1:
			n = n.AllOf[0]
		default:
			return n, name
		}
	}
	return &node{}, name
}

func (s Schema) of(n *node) Schema { return Schema{n, s.all} }

// child is the schema below a key of an object or an index of a list.
func (s Schema) child(key any) Schema {
	n, _ := s.resolved()
	switch k := key.(type) {
	case string:
		if p := n.Properties[k]; p != nil {
			return s.of(p)
		}
		return s.of(n.AdditionalProperties)
	default:
		return s.of(n.Items)
	}
}

// properties are the names of the fields of an object, sorted.
func (s Schema) properties() []string {
	n, _ := s.resolved()
	return slices.Sorted(maps.Keys(n.Properties))
}

// At is the schema at a path of names and indices.
func (s Schema) At(path ...any) Schema {
	for _, p := range path {
		s = s.child(p)
	}
	return s
}
