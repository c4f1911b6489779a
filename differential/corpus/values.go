package corpus

import (
	"math/rand/v2"
	"strings"
)

// depth bounds how deep generated values are.
const depth = 4

// quantities, times and the like are valid first, then odd.
var (
	quantities = []any{"1", "500m", "64Mi", "-1", "0", "1.5", "x"}
	strs       = []any{"a", "example.org/a", "web", "10.1.2.3", "10.0.0.0/8", "a b", "A_b", "", "/path", "https://example.org", "1", "*", "UPPER"}
	ints       = []any{int64(1), int64(2), int64(80), int64(0), int64(-1), int64(65536), int64(1 << 40)}
)

func pick(r *rand.Rand, of []any) any { return of[r.IntN(len(of))] }

// Value makes a value of the schema, valid more often than not.
func (s Schema) Value(r *rand.Rand) any { return s.value(r, "", depth) }

func (s Schema) value(r *rand.Rand, name string, left int) any {
	n, ref := s.resolved()
	if v, ok := wellKnown(r, ref, n.Format); ok {
		return v
	}
	if len(n.Enum) > 0 {
		if r.IntN(8) == 0 {
			return "NoSuchValue"
		}
		return pick(r, n.Enum)
	}
	switch n.Type {
	case "boolean":
		return r.IntN(4) > 0
	case "integer", "number":
		return pick(r, ints)
	case "array":
		out := []any{}
		if left > 0 && n.Items != nil {
			for range 1 + r.IntN(2) {
				out = append(out, s.of(n.Items).value(r, name, left-1))
			}
		}
		return out
	case "string":
		return text(r, name)
	}
	if len(n.Properties) == 0 && n.AdditionalProperties != nil && left > 0 {
		return Object{text(r, "key").(string): s.of(n.AdditionalProperties).value(r, name, left-1)}
	}
	return s.object(r, n, left)
}

// object has what is required, and some of what is not.
func (s Schema) object(r *rand.Rand, n *node, left int) any {
	out := Object{}
	if left == 0 {
		return out
	}
	required := map[string]bool{}
	for _, p := range n.Required {
		required[p] = true
	}
	for _, p := range s.properties() {
		if required[p] && r.IntN(20) > 0 || r.IntN(4) == 0 {
			out[p] = s.of(n.Properties[p]).value(r, p, left-1)
		}
	}
	return out
}

func wellKnown(r *rand.Rand, ref, format string) (any, bool) {
	switch {
	case strings.HasSuffix(ref, ".Quantity"):
		return pick(r, quantities), true
	case strings.HasSuffix(ref, ".IntOrString"):
		return pick(r, []any{int64(1), "http", "25%", int64(0), "120%", int64(-1), ""}), true
	case strings.HasSuffix(ref, ".MicroTime"):
		return "2026-01-02T03:04:05.000000Z", true
	case format == "date-time":
		return "2026-01-02T03:04:05Z", true
	case format == "byte":
		return pick(r, []any{"AAEC", "", "%"}), true
	}
	return nil, false
}

// text is a string that the field of that name likely takes, or one that it may not.
func text(r *rand.Rand, name string) any {
	n := strings.ToLower(name)
	var likely []any
	switch {
	case n == "image":
		likely = []any{"busybox:1.36", "registry.example.org/a@sha256:" + strings.Repeat("a", 64)}
	case strings.HasSuffix(n, "path"):
		likely = []any{"/a/b", "a/b", "../a", "/"}
	case strings.HasSuffix(n, "ip"), strings.HasSuffix(n, "ips"), n == "address", n == "addresses":
		likely = []any{"10.1.2.3", "fd00::1", "127.0.0.1", "010.1.2.3"}
	case strings.Contains(n, "cidr"):
		likely = []any{"10.3.0.0/16", "fd00::/64", "10.3.0.1/16"}
	case strings.Contains(n, "apiversion"), n == "apigroup":
		likely = []any{"v1", "apps/v1", "example.org"}
	case n == "kind":
		likely = []any{"Pod", "ConfigMap", "Widget"}
	case strings.Contains(n, "key"):
		likely = []any{"example.org/key", "key", "kubernetes.io/hostname"}
	case strings.Contains(n, "expression"), n == "rule":
		likely = []any{"true", "object.metadata.name == 'a'", "1 +"}
	case n == "driver":
		likely = []any{"disk.example.org", "a_b"}
	default:
		likely = []any{"web", "a-b", "example.org/a"}
	}
	if r.IntN(3) > 0 {
		return pick(r, likely)
	}
	return pick(r, strs)
}
