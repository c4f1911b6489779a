package fuzz

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// each is how often a resource is asked for something in a round.
const each = 14

// longest is how long an answer may take: a watch ends after a second.
const longest = 20 * time.Second

// Fuzzer makes requests, the same for the same seed and server, and sends them.
type Fuzzer struct {
	rand        *rand.Rand
	http        *http.Client
	host        string
	definitions map[string]definition
	kinds       map[schema.GroupVersionKind]string // names of definitions
	targets     []target
	// Codes are how often each status was answered.
	Codes map[int]int
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

// target is a resource or a subresource.
type target struct {
	gvk        schema.GroupVersionKind
	path, part string
	// careful: nothing of it is stored in any round.
	careful bool
	verbs   []string
}

// New reads what the server serves and how its objects look. What is of namespaces is
// asked for in the one that is named, which must be there.
func New(cfg *rest.Config, namespace string, seed uint64) (*Fuzzer, error) {
	doer, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	doer.Timeout = longest
	d, err := discovery.NewDiscoveryClientForConfigAndClient(cfg, doer)
	if err != nil {
		return nil, err
	}
	f := &Fuzzer{
		rand: rand.New(rand.NewPCG(seed, 0)), http: doer, host: strings.TrimSuffix(cfg.Host, "/"),
		kinds: map[schema.GroupVersionKind]string{}, Codes: map[int]int{},
	}
	if !strings.Contains(f.host, "://") {
		f.host = "https://" + f.host
	}
	data, err := d.RESTClient().Get().AbsPath("/openapi/v2").SetHeader("Accept", "application/json").DoRaw(context.Background())
	if err != nil {
		return nil, fmt.Errorf("read how objects look: %w", err)
	}
	var doc struct{ Definitions map[string]definition }
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("read how objects look: %w", err)
	}
	f.definitions = doc.Definitions
	for name, d := range f.definitions {
		for _, k := range d.GVK {
			f.kinds[schema.GroupVersionKind(k)] = name
		}
	}
	_, lists, err := d.ServerGroupsAndResources()
	if err != nil {
		return nil, fmt.Errorf("read what is served: %w", err)
	}
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range l.APIResources {
			f.targets = append(f.targets, newTarget(gv, r, namespace))
		}
	}
	slices.SortFunc(f.targets, func(a, b target) int {
		return strings.Compare(a.path+a.gvk.String()+a.part, b.path+b.gvk.String()+b.part)
	})
	return f, nil
}

func newTarget(gv schema.GroupVersion, r metav1.APIResource, namespace string) target {
	out := target{gvk: gv.WithKind(r.Kind), path: "/apis/" + gv.String(), verbs: r.Verbs}
	if gv.Group == "" {
		out.path = "/api/v1"
	}
	if r.Group != "" || r.Version != "" {
		out.gvk.Group, out.gvk.Version = r.Group, r.Version
	}
	if r.Namespaced {
		out.path += "/namespaces/" + namespace
	}
	name, part, _ := strings.Cut(r.Name, "/")
	out.path, out.part = out.path+"/"+name, part
	// What these say changes what is said to all other requests.
	out.careful = slices.Contains([]string{"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"}, gv.Group)
	return out
}

// Round asks every resource for everything. With dry, nothing is stored. The errors are
// of answers that should not be, each with the request.
func (f *Fuzzer) Round(ctx context.Context, dry bool) []error {
	var errs []error
	for _, t := range f.targets {
		for range each / len(t.verbs) {
			for _, verb := range t.verbs {
				if ctx.Err() != nil {
					return append(errs, ctx.Err())
				}
				r, ok := f.request(t, verb, dry || t.careful)
				if !ok {
					continue
				}
				if err := f.send(ctx, r); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	return errs
}
