package corpus

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// Mutation changes one place of an object.
type Mutation struct {
	// How is the kind of change.
	How string
	// Path leads to the place: names of fields and indices of lists.
	Path []any
	// remove says that the place goes; otherwise value stands there.
	remove bool
	value  any
}

// String names the change and its place, without indices.
func (m Mutation) String() string {
	var b strings.Builder
	b.WriteString(m.How)
	for _, p := range m.Path {
		if name, ok := p.(string); ok {
			fmt.Fprintf(&b, " .%s", name)
		} else {
			b.WriteString(" []")
		}
	}
	return b.String()
}

// Apply returns a changed copy of the object. It reports false where the path leads
// nowhere.
func (m Mutation) Apply(o Object) (Object, bool) {
	out := runtime.DeepCopyJSON(o)
	var at any = out
	for _, p := range m.Path[:len(m.Path)-1] {
		at = step(at, p)
	}
	last := m.Path[len(m.Path)-1]
	switch parent := at.(type) {
	case Object:
		name, ok := last.(string)
		if !ok {
			return nil, false
		}
		if m.remove {
			delete(parent, name)
		} else {
			parent[name] = runtime.DeepCopyJSONValue(m.value)
		}
		return out, true
	case []any:
		i, ok := last.(int)
		if !ok || i >= len(parent) {
			return nil, false
		}
		// A removed item of a list is null: the list's own removal is another change.
		parent[i] = runtime.DeepCopyJSONValue(m.value)
		return out, true
	}
	return nil, false
}

func step(at, p any) any {
	switch at := at.(type) {
	case Object:
		if name, ok := p.(string); ok {
			return at[name]
		}
	case []any:
		if i, ok := p.(int); ok && i < len(at) {
			return at[i]
		}
	}
	return nil
}

// place is somewhere in an object.
type place struct {
	path   []any
	value  any
	schema Schema
}

// managed are fields of metadata that the server writes: what is sent there is another
// matter than the rules of the kind.
var managed = map[string]bool{
	"managedFields": true, "uid": true, "resourceVersion": true, "creationTimestamp": true, "generation": true, "selfLink": true,
	"namespace": true, "deletionTimestamp": true, "deletionGracePeriodSeconds": true, "name": true, "generateName": true,
}

// places walks an object in a fixed order.
func places(o Object, s Schema, skip func(path []any) bool) []place {
	var out []place
	var walk func(v any, s Schema, path []any)
	walk = func(v any, s Schema, path []any) {
		if len(path) > 0 {
			if skip(path) {
				return
			}
			out = append(out, place{path, v, s})
		}
		switch v := v.(type) {
		case Object:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(v[k], s.child(k), append(slices.Clone(path), k))
			}
		case []any:
			for i := range v {
				walk(v[i], s.child(i), append(slices.Clone(path), i))
			}
		}
	}
	walk(o, s, nil)
	return out
}

// Without says which places are not changed.
func Without(fields ...string) func(path []any) bool {
	return func(path []any) bool {
		first, _ := path[0].(string)
		if first == "apiVersion" || first == "kind" || slices.Contains(fields, first) {
			return true
		}
		if first == "metadata" && len(path) == 2 {
			name, _ := path[1].(string)
			return managed[name]
		}
		return false
	}
}

// Mutate draws a change of the object. It reports false for an object without a place to
// change.
func Mutate(r *rand.Rand, o Object, s Schema, skip func(path []any) bool) (Mutation, bool) {
	all := places(o, s, skip)
	if len(all) == 0 {
		return Mutation{}, false
	}
	// What is not there yet is as likely as what is: fields outnumber what manifests hold.
	if r.IntN(5) < 2 {
		for range 8 {
			if m, ok := add(r, o, s, all, skip); ok {
				return m, true
			}
		}
	}
	p := all[r.IntN(len(all))]
	m := Mutation{Path: p.path}
	m.How, m.value, m.remove = change(r, p)
	return m, true
}

// add sets a field that the schema has and the object has not.
func add(r *rand.Rand, o Object, s Schema, all []place, skip func(path []any) bool) (Mutation, bool) {
	parent := place{nil, o, s}
	if i := r.IntN(len(all) + 1); i < len(all) {
		parent = all[i]
	}
	object, ok := parent.value.(Object)
	if !ok {
		return Mutation{}, false
	}
	missing := slices.DeleteFunc(parent.schema.properties(), func(name string) bool {
		_, has := object[name]
		return has || skip(append(slices.Clone(parent.path), name))
	})
	if len(missing) == 0 {
		return Mutation{}, false
	}
	name := missing[r.IntN(len(missing))]
	return Mutation{How: "add", Path: append(slices.Clone(parent.path), name), value: parent.schema.child(name).value(r, name, depth)}, true
}

// change draws what becomes of a value.
func change(r *rand.Rand, p place) (how string, value any, remove bool) {
	switch r.IntN(6) {
	case 0:
		return "remove", nil, true
	case 1:
		return "null", nil, false
	case 2:
		return "other", p.schema.value(r, name(p.path), depth), false
	}
	switch v := p.value.(type) {
	case string:
		return text1(r, p)
	case int64, float64:
		n := pick(r, []any{int64(0), int64(-1), int64(1), int64(99999999), int64(1 << 32), "1", true})
		return "number", n, false
	case bool:
		return "flip", pick(r, []any{!v, "true", int64(1)}), false
	case []any:
		return list(r, v)
	case Object:
		if r.IntN(3) > 0 {
			out := runtime.DeepCopyJSON(v)
			out["noSuchField"] = int64(1)
			return "unknown", out, false
		}
		return "empty", Object{}, false
	}
	return "null", nil, false
}

func text1(r *rand.Rand, p place) (how string, value any, remove bool) {
	switch r.IntN(7) {
	case 0:
		return "empty", "", false
	case 1:
		return "long", strings.Repeat("a", 300), false
	case 2:
		return "spaces", "a b", false
	case 3:
		return "mixed", strings.Repeat("A_b.", 20), false
	case 4:
		return "number for text", int64(7), false
	case 5:
		return "enum", "NoSuchValue", false
	}
	return "text", text(r, name(p.path)), false
}

func list(r *rand.Rand, v []any) (how string, value any, remove bool) {
	out := runtime.DeepCopyJSONValue(v).([]any)
	switch r.IntN(4) {
	case 0:
		return "empty", []any{}, false
	case 1:
		return "item null", append(out, nil), false
	case 2:
		return "object for list", Object{"a": "b"}, false
	}
	if len(out) == 0 {
		return "item", []any{"a"}, false
	}
	return "twice", append(out, runtime.DeepCopyJSONValue(out[r.IntN(len(out))])), false
}

// name is the last name of a field in a path.
func name(path []any) string {
	for _, p := range slices.Backward(path) {
		if s, ok := p.(string); ok {
			return s
		}
	}
	return ""
}

// Size is the number of places in an object.
func Size(o Object) int {
	return len(places(o, Schema{}, func([]any) bool { return false }))
}

// Removes reports whether the place goes.
func (m Mutation) Removes() bool { return m.remove }

// Value is what stands at the place afterwards.
func (m Mutation) Value() any { return runtime.DeepCopyJSONValue(m.value) }
