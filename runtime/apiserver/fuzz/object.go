package fuzz

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// body is an object of the kind with fields that it has and values that they may not.
func (f *Fuzzer) body(t target, name string) string {
	switch f.rand.IntN(40) {
	case 0:
		return pick(f.rand, "", "{", "null", "[]", `"x"`, "k8s\x00\x00", "k8s\x00\x0a\x05\x0a\x01v\x12\x00\x12\xff", strings.Repeat(`{"a":`, 20000), "a: &a [*a, *a]", "\xff\xfe", `{"kind":1}`)
	case 1:
		return strings.Repeat(" ", 4<<20) + "{}"
	}
	obj, _ := f.value(definition{Ref: "#/definitions/" + f.kinds[t.gvk]}, 0).(map[string]any)
	if obj == nil {
		obj = map[string]any{}
	}
	if f.rand.IntN(30) > 0 {
		obj["apiVersion"], obj["kind"] = t.gvk.ToAPIVersionAndKind()
	}
	metadata, _ := obj["metadata"].(map[string]any)
	if metadata == nil || f.rand.IntN(2) == 0 {
		metadata = map[string]any{}
	}
	if f.rand.IntN(30) > 0 {
		metadata["name"] = name
	}
	delete(metadata, "resourceVersion")
	obj["metadata"] = metadata
	data, err := json.Marshal(obj)
	if err != nil {
		panic(err) // it is made of values that JSON has
	}
	return string(data)
}

// value is one of the type, or, now and then, of another.
func (f *Fuzzer) value(d definition, depth int) any {
	if ref := strings.TrimPrefix(d.Ref, "#/definitions/"); ref != "" {
		resolved, known := f.definitions[ref]
		if !known || depth > 12 {
			return map[string]any{}
		}
		d = resolved
	}
	if f.rand.IntN(150) == 0 {
		return pick[any](f.rand, nil, 1, "x", []any{}, map[string]any{"a": 1}, true, -1.5)
	}
	kind, _ := d.Type.(string)
	switch {
	case kind == "object" || d.Properties != nil:
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(d.Properties)) {
			if f.rand.IntN(3) == 0 {
				out[name] = f.value(d.Properties[name], depth+1)
			}
		}
		if d.AdditionalProperties != nil {
			for range f.rand.IntN(3) {
				out[pick(f.rand, "a", "b", "", "x/y", "cpu", "memory", "kubernetes.io/x", strings.Repeat("k", 70))] = f.value(*d.AdditionalProperties, depth+1)
			}
		}
		return out
	case kind == "array" && d.Items != nil:
		out := []any{}
		for range f.rand.IntN(3) {
			out = append(out, f.value(*d.Items, depth+1))
		}
		return out
	case kind == "integer":
		return pick[any](f.rand, 0, 1, 2, 80, -1, 65536, int64(1)<<31, int64(1)<<62, 1.5)
	case kind == "number":
		return pick[any](f.rand, 0, 1.5, -1e300)
	case kind == "boolean":
		return f.rand.IntN(2) == 0
	}
	if d.Format == "date-time" {
		return pick(f.rand, "2026-01-02T03:04:05Z", "9999-12-31T23:59:59Z", "x", "")
	}
	return pick(f.rand, "a", "b", "", "1", "1Gi", "-5m", "10.0.0.1", "10.0.0.0/8", "::1", "TCP", "x/y", "/", "../..", "*", "ü", "\x00", "self.x", "{{", "$(A)", "a=b", "2026-01-02", strings.Repeat("s", 300), "AAAA")
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }
