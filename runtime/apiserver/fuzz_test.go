package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

const (
	// fuzzSeed is of the run, fuzzRounds how often each resource is asked for
	// something, and fuzzGrowth what the live heap may grow by a round in which nothing
	// is stored.
	fuzzSeed, fuzzRounds = 9, 14
	fuzzGrowth           = 24 << 20
)

// TestBadInputIsRefused sends what no client should to every resource: the server
// answers with a reason, never with an error of its own, and keeps nothing of it.
func TestBadInputIsRefused(t *testing.T) {
	c := apitest.Start(t)
	f := newFuzzer(t, c)
	var panics atomic.Int64
	handlers := utilruntime.PanicHandlers
	utilruntime.PanicHandlers = append(slices.Clone(handlers), func(_ context.Context, r any) {
		if r != http.ErrAbortHandler {
			panics.Add(1)
		}
	})
	defer func() { utilruntime.PanicHandlers = handlers }()

	f.round(false)
	f.round(true) // what is made once is made: pools, caches, schemas
	before := liveHeap()
	f.round(true)
	if grown := liveHeap() - before; grown > fuzzGrowth {
		t.Errorf("the live heap grew by %d KiB with requests that store nothing", grown>>10)
	}
	if n := panics.Load(); n > 0 {
		t.Errorf("%d panics", n)
	}
	t.Logf("answers: %v", f.codes)
	// A fuzzer that is refused at the door tests nothing.
	if f.codes[http.StatusCreated] < 20 || f.codes[http.StatusOK] < 50 || f.codes[http.StatusUnprocessableEntity] < 200 || f.codes[http.StatusBadRequest] < 300 {
		t.Errorf("it did not get far: %v", f.codes)
	}
}

func liveHeap() int64 {
	time.Sleep(time.Second) // what was begun in the background ends
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fuzzer makes requests, the same for the same seed.
type fuzzer struct {
	t           *testing.T
	rand        *rand.Rand
	http        *http.Client
	host        string
	definitions map[string]definition
	kinds       map[schema.GroupVersionKind]string // names of definitions
	targets     []fuzzTarget
	codes       map[int]int
}

// definition is what the server says of a type.
type definition struct {
	Type                 any                                     `json:"type"`
	Ref                  string                                  `json:"$ref"`
	Format               string                                  `json:"format"`
	Items                *definition                             `json:"items"`
	Properties           map[string]definition                   `json:"properties"`
	AdditionalProperties *definition                             `json:"additionalProperties"`
	GVK                  []struct{ Group, Version, Kind string } `json:"x-kubernetes-group-version-kind"`
}

// fuzzTarget is a resource or a subresource.
type fuzzTarget struct {
	gvk                 schema.GroupVersionKind
	path, part          string
	namespaced, careful bool
	verbs               []string
}

func newFuzzer(t *testing.T, c *apitest.Cluster) *fuzzer {
	customResources(t, c) // a kind whose schema is a user's
	admin := c.Admin()
	doer, err := rest.HTTPClientFor(admin.REST)
	ok(t, err)
	doer.Timeout = 20 * time.Second
	f := &fuzzer{t: t, rand: rand.New(rand.NewPCG(fuzzSeed, 0)), http: doer, host: admin.REST.Host, kinds: map[schema.GroupVersionKind]string{}, codes: map[int]int{}}
	namespace(t, admin, "fuzz")
	var doc struct{ Definitions map[string]definition }
	eventually(t, "the schema has the custom kind", func() error {
		data, err := admin.Discovery().RESTClient().Get().AbsPath("/openapi/v2").SetHeader("Accept", "application/json").DoRaw(t.Context())
		if err != nil {
			return err
		}
		if !strings.Contains(string(data), "com.example.v1.Widget") {
			return fmt.Errorf("it has not")
		}
		return json.Unmarshal(data, &doc)
	})
	f.definitions = doc.Definitions
	for name, d := range f.definitions {
		for _, k := range d.GVK {
			f.kinds[schema.GroupVersionKind(k)] = name
		}
	}
	_, lists, err := admin.Discovery().ServerGroupsAndResources()
	ok(t, err)
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		ok(t, err)
		for _, r := range l.APIResources {
			f.targets = append(f.targets, newFuzzTarget(gv, r))
		}
	}
	slices.SortFunc(f.targets, func(a, b fuzzTarget) int {
		return strings.Compare(a.path+a.gvk.String()+a.part, b.path+b.gvk.String()+b.part)
	})
	return f
}

func newFuzzTarget(gv schema.GroupVersion, r metav1.APIResource) fuzzTarget {
	out := fuzzTarget{gvk: gv.WithKind(r.Kind), path: "/apis/" + gv.String(), namespaced: r.Namespaced, verbs: r.Verbs}
	if gv.Group == "" {
		out.path = "/api/v1"
	}
	if r.Group != "" || r.Version != "" {
		out.gvk.Group, out.gvk.Version = r.Group, r.Version
	}
	if r.Namespaced {
		out.path += "/namespaces/fuzz"
	}
	name, part, _ := strings.Cut(r.Name, "/")
	out.path, out.part = out.path+"/"+name, part
	// What these say changes what is said to all other requests.
	out.careful = slices.Contains([]string{"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"}, gv.Group)
	return out
}

// round asks every resource for everything. With dry, nothing is stored.
func (f *fuzzer) round(dry bool) {
	for _, target := range f.targets {
		for range fuzzRounds / len(target.verbs) {
			for _, verb := range target.verbs {
				if verb == "deletecollection" {
					continue
				}
				f.ask(target, verb, dry || target.careful)
			}
		}
	}
}

func (f *fuzzer) ask(target fuzzTarget, verb string, dry bool) {
	name := pick(f.rand, "a", "b", "c", "fuzz-"+pick(f.rand, "x", "y"), "default", "A_", "..%2f", strings.Repeat("n", 300))
	query, path, body, header := url.Values{}, target.path, "", http.Header{}
	one := func() {
		path += "/" + name
		if target.part != "" {
			path += "/" + target.part
		}
	}
	method := http.MethodGet
	switch verb {
	case "get":
		one()
		if target.part == "proxy" || target.part == "exec" || target.part == "attach" || target.part == "portforward" {
			return // streams end with what is behind them
		}
	case "list", "watch":
		f.listParameters(query, verb)
	case "create":
		method, body = http.MethodPost, f.body(target, name)
		if target.part != "" {
			one()
		}
	case "update":
		one()
		method, body = http.MethodPut, f.body(target, name)
	case "patch":
		one()
		method = http.MethodPatch
		kind := pick(f.rand, "json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml", "apply-patch+cbor", "x-patch")
		header.Set("Content-Type", "application/"+kind)
		if body = f.body(target, name); kind == "json-patch+json" {
			body = f.jsonPatch()
		}
		if f.rand.IntN(4) > 0 {
			query.Set("fieldManager", pick(f.rand, "m", "", strings.Repeat("m", 200), "a\nb"))
			query.Set("force", pick(f.rand, "true", "false", "1", "x"))
		}
	case "delete":
		one()
		method = http.MethodDelete
		body = pick(f.rand, "", "{}", `{"preconditions":{"uid":"x"}}`, `{"gracePeriodSeconds":-1}`, `{"propagationPolicy":"X"}`, `{"kind":"Pod","apiVersion":"v1"}`, `[]`, `null`)
	default:
		return
	}
	if method != http.MethodGet {
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", pick(f.rand, "application/json", "application/json", "application/json", "application/json", "application/json", "application/json", "application/json", "application/json", "application/json", "application/json", "application/yaml", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor", "text/plain", ""))
		}
		if f.rand.IntN(8) == 0 {
			query.Set("fieldValidation", pick(f.rand, "Strict", "Ignore", "Warn", "x"))
		}
		if dry {
			query.Set("dryRun", "All")
		}
	}
	if f.rand.IntN(10) == 0 {
		header.Set("Accept", pick(f.rand, "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "x/y", ";;"))
	}
	if f.rand.IntN(20) == 0 {
		query.Set("timeout", pick(f.rand, "1ns", "-1s", "x", "1h", "0"))
	}
	if f.rand.IntN(30) == 0 {
		header.Set(pick(f.rand, "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-%zz", "X-Remote-User"), "x")
	}
	f.send(method, path, query, header, body)
}

func (f *fuzzer) send(method, path string, query url.Values, header http.Header, body string) {
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.host+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return // no request of this could be sent
	}
	req.Header = header
	what := fmt.Sprintf("%s %s?%s %v\n%.2000s", method, path, query.Encode(), header, body)
	resp, err := f.http.Do(req)
	if err != nil {
		f.t.Errorf("%s\nis not answered: %v", what, err)
		return
	}
	defer resp.Body.Close()
	f.codes[resp.StatusCode]++
	if query.Has("watch") && resp.StatusCode == http.StatusOK {
		return // it has begun, which is all of it
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Errorf("%s\nis not answered to the end: %v", what, err)
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusGatewayTimeout {
		f.t.Errorf("%s\nis answered %d: %.1000s", what, resp.StatusCode, answer)
	}
}

func (f *fuzzer) listParameters(query url.Values, verb string) {
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

func (f *fuzzer) jsonPatch() string {
	var ops []string
	path := func() string {
		return pick(f.rand, "/metadata/labels/a", "/metadata/name", "/spec", "/spec/containers/0", "/spec/containers/-", "/metadata/finalizers/-1", "", "/", "/~2", "/metadata/annotations", "/status", "x")
	}
	for range f.rand.IntN(5) {
		ops = append(ops, fmt.Sprintf(`{"op":%q,"path":%q,"from":%q,"value":%s}`, pick(f.rand, "add", "remove", "replace", "move", "copy", "test", "x"), path(), path(), pick(f.rand, `"a"`, `{}`, `[]`, `null`, `1`, `{"a":{"b":[1]}}`)))
	}
	return pick(f.rand, "["+strings.Join(ops, ",")+"]", "["+strings.Join(ops, ",")+"]", "{}", "[", "null", "[null]", `[{"op":"add"}]`)
}

// body is an object of the kind with fields that it has and values that they may not.
func (f *fuzzer) body(target fuzzTarget, name string) string {
	switch f.rand.IntN(40) {
	case 0:
		return pick(f.rand, "", "{", "null", "[]", `"x"`, "k8s\x00\x00", "k8s\x00\x0a\x05\x0a\x01v\x12\x00\x12\xff", strings.Repeat(`{"a":`, 20000), "a: &a [*a, *a]", "\xff\xfe", `{"kind":1}`)
	case 1:
		return strings.Repeat(" ", 4<<20) + "{}"
	}
	obj, _ := f.value(definition{Ref: "#/definitions/" + f.kinds[target.gvk]}, 0).(map[string]any)
	if obj == nil {
		obj = map[string]any{}
	}
	if f.rand.IntN(30) > 0 {
		obj["apiVersion"], obj["kind"] = target.gvk.ToAPIVersionAndKind()
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
		f.t.Fatal(err)
	}
	return string(data)
}

// value is one of the type, or, now and then, of another.
func (f *fuzzer) value(d definition, depth int) any {
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
