package manifests

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// Least is the least value of a structural schema: what it requires, and no more. Rules
// in CEL and what alternatives forbid are not weighed, nor is every pattern met.
func Least(schema map[string]any) any {
	if value, ok := schema["default"]; ok {
		return runtime.DeepCopyJSONValue(value)
	}
	if values, _ := schema["enum"].([]any); len(values) > 0 {
		return values[0]
	}
	if schema["x-kubernetes-int-or-string"] == true {
		return "1"
	}
	switch schema["type"] {
	case "object":
		return leastObject(schema)
	case "array":
		out := []any{}
		for range number(schema["minItems"], 0) {
			out = append(out, Least(mapOf(schema, "items")))
		}
		return out
	case "string":
		return leastString(schema)
	case "integer":
		return number(schema["minimum"], 1)
	case "number":
		return float64(number(schema["minimum"], 1))
	case "boolean":
		return false
	}
	return map[string]any{}
}

func leastObject(schema map[string]any) map[string]any {
	properties, additional := mapOf(schema, "properties"), mapOf(schema, "additionalProperties")
	out := map[string]any{}
	add := func(name string) {
		property := mapOf(properties, name)
		if property == nil {
			property = additional
		}
		out[name] = Least(property)
	}
	for _, name := range required(schema) {
		add(name)
	}
	names := slices.Sorted(maps.Keys(properties))
	if additional != nil {
		names = append(names, "x")
	}
	for _, name := range names {
		if int64(len(out)) >= number(schema["minProperties"], 0) {
			break
		}
		add(name)
	}
	return out
}

// required are the fields that a schema and the first of its alternatives require.
func required(schema map[string]any) []string {
	var out []string
	names, _ := schema["required"].([]any)
	for _, name := range names {
		if name, ok := name.(string); ok {
			out = append(out, name)
		}
	}
	for _, of := range mapsOf(schema, "allOf") {
		out = append(out, required(of)...)
	}
	for _, alternatives := range []string{"anyOf", "oneOf"} {
		if of := mapsOf(schema, alternatives); len(of) > 0 {
			out = append(out, required(of[0])...)
		}
	}
	return out
}

// formats are examples of what a format means.
var formats = map[string]string{
	"date-time": "2026-01-02T03:04:05Z", "date": "2026-01-02", "duration": "1s", "uri": "http://x.example", "email": "x@x.example",
	"ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "cidr": "192.0.2.0/24", "uuid": "123e4567-e89b-12d3-a456-426614174000", "byte": "eA==", "hostname": "x.example",
}

// examples are tried in turn where a pattern says what a string looks like.
var examples = []string{
	"x", "X", "1", "xx", "x1", "v1", "1s", "1m", "1h", "1Gi", "100m", "1.2.3", "v1.2.3", "true", "*", "/x", "x/x", "x.example", "x.example/x", "http://x.example",
	"192.0.2.1", "192.0.2.0/24", "2026-01-02T03:04:05Z", "00:00", "1d", "Mon", "x:x", "x=x", "* * * * *", "@daily", "sha256:" + strings.Repeat("0", 64),
}

func leastString(schema map[string]any) string {
	format, _ := schema["format"].(string)
	if example, ok := formats[format]; ok {
		return example
	}
	pad := func(s string) string {
		return s + strings.Repeat("x", max(0, int(number(schema["minLength"], 0))-len(s)))
	}
	text, _ := schema["pattern"].(string)
	pattern, err := regexp.Compile(text)
	if err != nil {
		return pad("x")
	}
	for _, example := range examples {
		if s := pad(example); pattern.MatchString(s) && int64(len(s)) <= number(schema["maxLength"], math.MaxInt64) {
			return s
		}
	}
	return pad("x")
}

// number is a number of a schema, rounded up.
func number(v any, otherwise int64) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		return int64(math.Ceil(v))
	}
	return otherwise
}

// Undefaulted lists the fields that have a default in a schema and are missing from an
// object that was stored by it.
func Undefaulted(schema map[string]any, value any) []string {
	var out []string
	switch value := value.(type) {
	case map[string]any:
		properties := mapOf(schema, "properties")
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			property := mapOf(properties, name)
			field, there := value[name]
			if _, defaulted := property["default"]; defaulted && !there {
				out = append(out, "."+name)
			}
			out = append(out, below("."+name, Undefaulted(property, field))...)
		}
		if additional := mapOf(schema, "additionalProperties"); additional != nil {
			for _, name := range slices.Sorted(maps.Keys(value)) {
				out = append(out, below("."+name, Undefaulted(additional, value[name]))...)
			}
		}
	case []any:
		for _, item := range value {
			out = append(out, below("[]", Undefaulted(mapOf(schema, "items"), item))...)
		}
	}
	return out
}

func below(prefix string, paths []string) []string {
	for i := range paths {
		paths[i] = prefix + paths[i]
	}
	return paths
}
