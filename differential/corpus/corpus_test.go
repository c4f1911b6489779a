package corpus

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const document = `{"components": {"schemas": {
	"Thing": {"type": "object", "required": ["size"], "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "Thing"}],
		"properties": {"size": {"type": "integer"}, "color": {"type": "string", "enum": ["red"]}, "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
			"amount": {"allOf": [{"$ref": "#/components/schemas/io.k8s.Quantity"}]}}},
	"Part": {"type": "object", "properties": {"name": {"type": "string"}, "labels": {"type": "object", "additionalProperties": {"type": "string"}}}},
	"io.k8s.Quantity": {"type": "string"}}}}`

func thing(t *testing.T) Schema {
	s, err := NewSchemas([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return s.Of(schema.GroupVersionKind{Group: "g", Version: "v1", Kind: "Thing"})
}

func TestSeedsAreObjects(t *testing.T) {
	seeds, err := Seeds()
	if err != nil {
		t.Fatal(err)
	}
	if len(seeds) < 60 {
		t.Errorf("%d kinds", len(seeds))
	}
	for gvk, objects := range seeds {
		for _, o := range objects {
			if o["apiVersion"] != gvk.GroupVersion().String() || o["kind"] != gvk.Kind {
				t.Errorf("%s: %v", gvk, o)
			}
			if meta, ok := o["metadata"].(Object); !ok || meta["namespace"] != nil {
				t.Errorf("%s: metadata %v", gvk, o["metadata"])
			}
		}
	}
}

func TestIn(t *testing.T) {
	o := Object{"a": "$NAMESPACE", "b": []any{"$NAMESPACE", int64(1)}}
	if got := In("n", o); !reflect.DeepEqual(got, Object{"a": "n", "b": []any{"n", int64(1)}}) || o["a"] != "$NAMESPACE" {
		t.Errorf("%v, of %v", got, o)
	}
}

// A seed says all; the object is not changed; what may not be changed is not; and over many
// draws every kind of change is made, at every place.
func TestMutate(t *testing.T) {
	s := thing(t)
	o := Object{"apiVersion": "g/v1", "kind": "Thing", "metadata": Object{"name": "a", "labels": Object{"b": "c"}}, "size": int64(1), "color": "red", "parts": []any{Object{"name": "p"}}}
	before := runtime.DeepCopyJSON(o)
	seen := map[string]bool{}
	for seed := range uint64(3000) {
		m, ok := Mutate(rand.New(rand.NewPCG(seed, 1)), o, s, Without("color"))
		if !ok {
			t.Fatal("no change was drawn")
		}
		again, _ := Mutate(rand.New(rand.NewPCG(seed, 1)), o, s, Without("color"))
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%s and %s of one seed", m, again)
		}
		changed, ok := m.Apply(o)
		if !ok {
			t.Fatalf("%s does not apply", m)
		}
		for _, k := range []string{"apiVersion", "kind", "color"} {
			if changed[k] != o[k] {
				t.Errorf("%s changes %s", m, k)
			}
		}
		seen[m.String()] = true
	}
	if !reflect.DeepEqual(o, before) {
		t.Errorf("the object became %v", o)
	}
	for _, want := range []string{"add .amount", "add .parts [] .labels", "remove .size", "number .size", "null .metadata .labels", "long .parts [] .name", "twice .parts", "unknown .parts []", "enum .metadata .labels .b"} {
		if !seen[want] {
			t.Errorf("%q was not drawn", want)
		}
	}
	for how := range seen {
		if strings.Contains(how, ".metadata .name") || strings.Contains(how, ".color") {
			t.Errorf("%q was drawn", how)
		}
	}
}

func TestApplyLeadsNowhere(t *testing.T) {
	for _, m := range []Mutation{
		{Path: []any{"a", "b"}}, {Path: []any{"list", 5}}, {Path: []any{"list", "name"}}, {Path: []any{0}},
	} {
		if _, ok := m.Apply(Object{"list": []any{"x"}}); ok {
			t.Errorf("%v applies", m.Path)
		}
	}
	got, ok := Mutation{Path: []any{"list", 0}, value: "y"}.Apply(Object{"list": []any{"x"}})
	if !ok || !reflect.DeepEqual(got, Object{"list": []any{"y"}}) {
		t.Errorf("%v %v", got, ok)
	}
	got, ok = Mutation{Path: []any{"a"}, remove: true}.Apply(Object{"a": "x", "b": "y"})
	if !ok || !reflect.DeepEqual(got, Object{"b": "y"}) {
		t.Errorf("%v %v", got, ok)
	}
}

// Values are of the type that the schema has.
func TestValue(t *testing.T) {
	s := thing(t)
	required := 0
	for seed := range uint64(200) {
		o, ok := s.Value(rand.New(rand.NewPCG(seed, 2))).(Object)
		if !ok {
			t.Fatal("no object")
		}
		if _, ok := o["size"].(int64); ok {
			required++
		}
		if v, ok := o["amount"]; ok {
			if _, ok := v.(string); !ok {
				t.Errorf("amount %v", v)
			}
		}
		if v, ok := o["parts"].([]any); ok {
			if _, ok := v[0].(Object); !ok {
				t.Errorf("part %v", v[0])
			}
		}
	}
	if required < 150 {
		t.Errorf("the required field is in %d of 200", required)
	}
}
