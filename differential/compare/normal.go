package compare

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// byNature are fields whose values each server makes.
var byNature = map[string]bool{"uid": true, "resourceVersion": true, "creationTimestamp": true}

var replaced = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \w+( m=[+-][\d.]+)?`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`), "kube-api-access-X"},
	{regexp.MustCompile(`\b10\.96\.\d+\.\d+\b|\b10\.97\.0\.0\b`), "CLUSTERIP"},
	{regexp.MustCompile(`:3[0-2]\d{3}/`), ":PORT/"},
	{regexp.MustCompile(`resource ?version( \d+|: ?\d+)`), "RV"},
}

var token = regexp.MustCompile(`^[\w-]+\.([\w-]+)\.[\w-]+$`)

// lastPort is beyond the range of node ports: upstream answers dry runs from there.
const lastPort = 33500

// age is a cell with the time since something.
var age = regexp.MustCompile(`^(\d+[smhdy])+( ago)?$|^<invalid>( ago)?$`)

func text(s string) string {
	for _, r := range replaced {
		s = r.pattern.ReplaceAllString(s, r.with)
	}
	return s
}

// Normal is a value without what differs by nature.
func Normal(v any) any { return normal(v, "") }

func normal(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			switch {
			case byNature[k] && x != nil && x != "":
				out[k] = "SET"
			case k == "time":
				out[k] = "TIME"
			case k == "continue" && x != nil && x != "":
				out[k] = "SET"
			default:
				out[text(k)] = normal(x, k)
			}
		}
		if _, ok := out["generateName"]; ok {
			out["name"] = "GENERATED"
		}
		if out["kind"] == "Table" {
			table(out)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = normal(x, key)
		}
		if key == "managedFields" {
			// They stand in the order of their times, which are whole seconds.
			slices.SortFunc(out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		return out
	case float64:
		if (key == "nodePort" || key == "healthCheckNodePort") && v >= 30000 && v <= lastPort {
			return "PORT"
		}
		return v
	case string:
		if claims, ok := claimsOf(v); ok {
			return claims
		}
		return text(v)
	}
	return v
}

// claimsOf a signed token, without what each of them has of its own.
func claimsOf(s string) (any, bool) {
	m := token.FindStringSubmatch(s)
	if m == nil {
		return nil, false
	}
	data, err := base64.RawURLEncoding.DecodeString(m[1])
	if err != nil {
		return nil, false
	}
	var claims map[string]any
	if json.Unmarshal(data, &claims) != nil {
		return nil, false
	}
	for _, k := range []string{"exp", "iat", "nbf", "jti"} {
		claims[k] = "SET"
	}
	return normal(claims, "claims"), true
}

// objects compares what was returned.
func objects(a, b any) []Difference {
	a, b = Normal(a), Normal(b)
	var out []Difference
	differ(a, b, "", &out)
	if len(out) > 3 {
		out = out[:3]
	}
	return out
}

func differ(a, b any, path string, out *[]Difference) {
	note := func(a, b any) {
		*out = append(*out, Difference(fmt.Sprintf("object %s: %s / %s", generic(path), print(a), print(b))))
	}
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			note(a, b)
			return
		}
		keys := map[string]bool{}
		for k := range x {
			keys[k] = true
		}
		for k := range y {
			keys[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			v, inA := x[k]
			w, inB := y[k]
			if !inA || !inB {
				*out = append(*out, Difference(fmt.Sprintf("object %s.%s: %s / %s", generic(path), generic(k), orAbsent(v, inA), orAbsent(w, inB))))
				continue
			}
			differ(v, w, path+"."+k, out)
		}
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			note(a, b)
			return
		}
		for i := range x {
			differ(x[i], y[i], path+"[]", out)
		}
	default:
		if a != b {
			note(a, b)
		}
	}
}

// generic are paths without names of single objects (keys of managed fields have some).
func generic(path string) string {
	return short(strings.ReplaceAll(quoted.ReplaceAllString(path, `"…"`), "f:", ""))
}

func orAbsent(v any, there bool) string {
	if !there {
		return "absent"
	}
	return print(v)
}

func print(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(data) > 60 {
		return string(data[:60]) + "…"
	}
	return string(data)
}

// table is what kubectl prints of one: columns by name, type, format and priority, and
// cells, with ages left out.
func table(t map[string]any) {
	columns, _ := t["columnDefinitions"].([]any)
	for _, c := range columns {
		if c, ok := c.(map[string]any); ok {
			delete(c, "description")
		}
	}
	rows, _ := t["rows"].([]any)
	for _, r := range rows {
		r, ok := r.(map[string]any)
		if !ok {
			continue
		}
		cells, _ := r["cells"].([]any)
		for i, c := range cells {
			if s, ok := c.(string); ok && age.MatchString(s) {
				cells[i] = "AGE"
			}
		}
	}
}
