package fuzz

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is one for a verb; there is none for verbs whose answer is all of a resource's
// end, or comes from what is behind the server.
func (f *Fuzzer) request(t target, verb string, dry bool) (r request, ok bool) {
	name := pick(f.rand, "a", "b", "c", "fuzz-"+pick(f.rand, "x", "y"), "default", "A_", "..%2f", strings.Repeat("n", 300))
	r = request{method: http.MethodGet, path: t.path, query: url.Values{}, header: http.Header{}, part: t.part}
	one := func() {
		r.path += "/" + name
		if t.part != "" {
			r.path += "/" + t.part
		}
	}
	switch verb {
	case "get":
		one()
		if slices.Contains([]string{"proxy", "exec", "attach", "portforward"}, t.part) {
			return r, false // streams end with what is behind them
		}
	case "list", "watch":
		f.listParameters(r.query, verb)
	case "create":
		r.method, r.body = http.MethodPost, f.body(t, name)
		if t.part != "" {
			one()
		}
	case "update":
		one()
		r.method, r.body = http.MethodPut, f.body(t, name)
	case "patch":
		one()
		r.method = http.MethodPatch
		kind := pick(f.rand, "json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml", "apply-patch+cbor", "x-patch")
		r.header.Set("Content-Type", "application/"+kind)
		if r.body = f.body(t, name); kind == "json-patch+json" {
			r.body = f.jsonPatch()
		}
		if f.rand.IntN(4) > 0 {
			r.query.Set("fieldManager", pick(f.rand, "m", "", strings.Repeat("m", 200), "a\nb"))
			r.query.Set("force", pick(f.rand, "true", "false", "1", "x"))
		}
	case "delete":
		one()
		r.method = http.MethodDelete
		r.body = pick(f.rand, "", "{}", `{"preconditions":{"uid":"x"}}`, `{"gracePeriodSeconds":-1}`, `{"propagationPolicy":"X"}`, `{"kind":"Pod","apiVersion":"v1"}`, `[]`, `null`)
	default:
		return r, false
	}
	if r.method != http.MethodGet {
		if r.header.Get("Content-Type") == "" {
			r.header.Set("Content-Type", f.contentType())
		}
		if f.rand.IntN(8) == 0 {
			r.query.Set("fieldValidation", pick(f.rand, "Strict", "Ignore", "Warn", "x"))
		}
		if dry {
			r.query.Set("dryRun", "All")
		}
	}
	if f.rand.IntN(10) == 0 {
		r.header.Set("Accept", pick(f.rand, "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "x/y", ";;"))
	}
	if f.rand.IntN(20) == 0 {
		r.query.Set("timeout", pick(f.rand, noTime, "-1s", "x", "1h", "0"))
	}
	if f.rand.IntN(30) == 0 {
		r.header.Set(pick(f.rand, "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-%zz", "X-Remote-User"), "x")
	}
	return r, true
}

// contentType is mostly that of the body.
func (f *Fuzzer) contentType() string {
	if f.rand.IntN(8) > 0 {
		return "application/json"
	}
	return pick(f.rand, "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor", "text/plain", "")
}

// listParameters are those of lists and watches, few of which can be.
func (f *Fuzzer) listParameters(query url.Values, verb string) {
	query.Set("timeoutSeconds", "1")
	if verb == "watch" {
		query.Set("watch", pick(f.rand, "true", "1"))
		if f.rand.IntN(4) > 0 {
			// Most watches end at once: their version is gone or is none.
			query.Set("resourceVersion", pick(f.rand, "1", "x", "-1", "18446744073709551616"))
		} else {
			query.Set("timeoutSeconds", "x")
		}
	}
	for _, p := range []struct {
		name   string
		values []string
	}{
		{"labelSelector", []string{"a=b", "a in (b,", "!a", "a>1", "=", "a=" + strings.Repeat("x", 100), "\x00"}},
		{"fieldSelector", []string{"metadata.name=a", "spec.x=y", "metadata.name!=a,metadata.namespace=fuzz", "a", "=,=", `metadata.name=\`}},
		{"limit", []string{"1", "0", "-1", "x", "9223372036854775807"}},
		{"continue", []string{"x", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiLi4vIn0", strings.Repeat("A", 5000)}},
		{"resourceVersionMatch", []string{"Exact", "NotOlderThan", "x"}},
		{"sendInitialEvents", []string{"true", "false", "x"}},
		{"allowWatchBookmarks", []string{"true", "x"}},
		{"pretty", []string{"true"}},
		{"resourceVersion", []string{"0", "1", "x", "-1"}},
	} {
		if v := pick(f.rand, p.values...); f.rand.IntN(6) == 0 && !query.Has(p.name) {
			query.Set(p.name, v)
		}
	}
}

// jsonPatch is one, or what is none.
func (f *Fuzzer) jsonPatch() string {
	var ops []string
	path := func() string {
		return pick(f.rand, "/metadata/labels/a", "/metadata/name", "/spec", "/spec/containers/0", "/spec/containers/-", "/metadata/finalizers/-1", "", "/", "/~2", "/metadata/annotations", "/status", "x")
	}
	for range f.rand.IntN(5) {
		ops = append(ops, fmt.Sprintf(`{"op":%q,"path":%q,"from":%q,"value":%s}`, pick(f.rand, "add", "remove", "replace", "move", "copy", "test", "x"), path(), path(), pick(f.rand, `"a"`, `{}`, `[]`, `null`, `1`, `{"a":{"b":[1]}}`)))
	}
	return pick(f.rand, "["+strings.Join(ops, ",")+"]", "["+strings.Join(ops, ",")+"]", "{}", "[", "null", "[null]", `[{"op":"add"}]`)
}
