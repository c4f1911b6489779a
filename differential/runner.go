package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gantry-run/gantry/bench/master"
	"github.com/gantry-run/gantry/differential/compare"
	"github.com/gantry-run/gantry/differential/corpus"
)

// runner sends sequences of requests to both servers.
type runner struct {
	options
	servers    [2]*server // upstream's, ours
	targets    []*target
	slots      []slot
	schemas    corpus.Schemas
	tally      *tally
	exceptions compare.Exceptions
	sent       atomic.Int64
}

// slot is a kind with one of its seeds; kinds with more to say have more of them.
type slot struct {
	*target
	seed corpus.Object
}

// settleTime bounds how long what is prepared may take to be served.
const settleTime = 30 * time.Second

func newRunner(ctx context.Context, m *master.Master, o options) (*runner, error) {
	tls, err := m.AdminTLS()
	if err != nil {
		return nil, err
	}
	x := exceptions()
	r := &runner{options: o, servers: [2]*server{newServer(m.UpstreamAddress(), tls), newServer(m.Address(), tls.Clone())}, tally: newTally(x), exceptions: x}
	for _, s := range r.servers {
		// Schemas are published some time after the kind is served.
		if err := s.eventually(ctx, request{method: http.MethodPost, path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body: widgets()}, http.StatusCreated); err != nil {
			return nil, err
		}
		if err := s.eventually(ctx, request{method: http.MethodGet, path: "/apis/example.org/v1/namespaces/default/widgets"}, http.StatusOK); err != nil {
			return nil, err
		}
		if err := s.eventually(ctx, request{method: http.MethodGet, path: "/openapi/v3/apis/example.org/v1"}, http.StatusOK); err != nil {
			return nil, err
		}
	}
	defined, err := readDefinitions(o.manifests)
	if err != nil {
		return nil, err
	}
	if err := r.define(ctx, defined); err != nil {
		return nil, err
	}
	return r, r.discover(ctx, defined)
}

// eventually asks until the answer has that code.
func (s *server) eventually(ctx context.Context, q request, code int) error {
	for deadline := time.Now().Add(settleTime); ; {
		a, err := s.do(ctx, q)
		if err != nil {
			return err
		}
		if a.Code == code {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s %s%s: answer %d after %s: %v", q.method, s.base, q.path, a.Code, settleTime, a.Body)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// discover asks upstream for its kinds and their schemas.
func (r *runner) discover(ctx context.Context, defined definitions) error {
	seeds, err := corpus.Seeds()
	if err != nil {
		return err
	}
	gvs, err := groupVersions(ctx, r.servers[0])
	if err != nil {
		return err
	}
	var documents [][]byte
	for _, gv := range gvs {
		found, err := targets(ctx, r.servers[0], gv)
		if err != nil {
			return err
		}
		r.targets = append(r.targets, found...)
		var doc []byte
		if doc, err = r.servers[0].raw(ctx, "/openapi/v3"+groupPath(gv)); err != nil {
			return err
		}
		documents = append(documents, doc)
	}
	if r.schemas, err = corpus.NewSchemas(documents...); err != nil {
		return err
	}
	for _, t := range r.targets {
		t.seeds, t.schema = seeds[t.gvk], r.schemas.Of(t.gvk)
		if least, ok := defined.seeds[t.gvk]; ok {
			t.seeds = least
		} else if len(defined.crds) > 0 {
			continue
		}
		if ok, err := path.Match(r.kind, t.gvk.Kind); err != nil {
			return fmt.Errorf("-kind: %w", err)
		} else if r.kind != "" && !ok || !t.can("create") {
			continue
		}
		if len(t.seeds) == 0 {
			r.slots = append(r.slots, slot{t, nil})
		}
		for _, s := range t.seeds {
			for range 1 + corpus.Size(s)/40 {
				r.slots = append(r.slots, slot{t, s})
			}
		}
	}
	return nil
}

func widgets() corpus.Object {
	text := map[string]any{"type": "string"}
	return corpus.Object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": corpus.Object{"name": "widgets.example.org"},
		"spec": corpus.Object{
			"group": "example.org", "scope": "Namespaced", "names": corpus.Object{"plural": "widgets", "kind": "Widget", "shortNames": []any{"wd"}},
			"versions": []any{corpus.Object{
				"name": "v1", "served": true, "storage": true,
				"subresources":             corpus.Object{"status": corpus.Object{}, "scale": corpus.Object{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
				"additionalPrinterColumns": []any{corpus.Object{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}},
				"schema": corpus.Object{"openAPIV3Schema": corpus.Object{"type": "object", "properties": corpus.Object{
					"spec": corpus.Object{
						"type": "object", "required": []any{"size"},
						"properties": corpus.Object{
							"size": corpus.Object{"type": "integer", "minimum": 0, "maximum": 10}, "name": corpus.Object{"type": "string", "pattern": "^[a-z]*$", "maxLength": 20},
							"color": corpus.Object{"type": "string", "enum": []any{"red", "green"}, "default": "red"}, "replicas": corpus.Object{"type": "integer", "default": 1},
							"list": corpus.Object{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{"name"}, "items": corpus.Object{"type": "object", "required": []any{"name"}, "properties": corpus.Object{"name": text, "value": text}}},
							"tags": corpus.Object{"type": "array", "x-kubernetes-list-type": "set", "items": text},
						},
						"x-kubernetes-validations": []any{corpus.Object{"rule": "self.size < 9", "message": "too large"}, corpus.Object{"rule": "self.size >= oldSelf.size", "message": "only grows"}},
					},
					"status": corpus.Object{"type": "object", "properties": corpus.Object{"replicas": corpus.Object{"type": "integer"}}},
				}}},
			}},
		},
	}
}

// all runs sequences until as many requests were sent as are asked for.
func (r *runner) all(ctx context.Context) error {
	if len(r.slots) == 0 {
		return fmt.Errorf("no kind matches %q", r.kind)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for w := range r.workers {
		group.Go(func() {
			for ctx.Err() == nil && r.sent.Load() < int64(r.n) {
				i := int(next.Add(1) - 1)
				if err := r.sequence(ctx, w, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// sequence is a function of the run's seed and its number.
func (r *runner) sequence(ctx context.Context, worker, number int) error {
	s := r.slots[number%len(r.slots)]
	c := &sequence{
		runner: r, slot: s, rand: rand.New(rand.NewPCG(r.seed, uint64(number))), id: strconv.FormatInt(int64(number), 36),
		namespace: namespaceOf(worker, s.target),
	}
	c.run(ctx)
	return c.err
}

func namespaceOf(worker int, t *target) string {
	if limiting[t.gvk.Kind] {
		return fmt.Sprintf("differential-limits-%d", worker)
	}
	return fmt.Sprintf("differential-%d", worker)
}

// prepare makes what objects of the corpus refer to, on both servers.
func (r *runner) prepare(ctx context.Context) error {
	for _, s := range r.servers {
		for w := range r.workers {
			for _, t := range []string{"Pod", "LimitRange"} {
				ns := namespaceOf(w, &target{gvk: (&target{}).gvk.GroupVersion().WithKind(t)})
				if err := s.makeNamespace(ctx, ns); err != nil {
					return err
				}
			}
		}
		priority := corpus.Object{"metadata": corpus.Object{"name": "differential-low"}, "value": 10}
		if err := s.eventually(ctx, request{method: http.MethodPost, path: "/apis/scheduling.k8s.io/v1/priorityclasses", body: priority}, http.StatusCreated); err != nil {
			return err
		}
	}
	return r.servers[0].eventually(ctx, request{method: http.MethodPost, path: "/apis/storage.k8s.io/v1/storageclasses", body: defaultClass()}, http.StatusCreated)
}

// defaultClass is the class of ours that claims without one get: upstream has none unless
// it is made.
func defaultClass() corpus.Object {
	return corpus.Object{
		"metadata":    corpus.Object{"name": "local", "annotations": corpus.Object{"storageclass.kubernetes.io/is-default-class": "true"}},
		"provisioner": "local.gantry.run", "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
	}
}

// makeNamespace with the service accounts that pods of the corpus run as.
func (s *server) makeNamespace(ctx context.Context, name string) error {
	if err := s.eventually(ctx, request{method: http.MethodPost, path: "/api/v1/namespaces", body: named(name)}, http.StatusCreated); err != nil {
		return err
	}
	for _, account := range []string{"default", "builder"} {
		if err := s.eventually(ctx, request{method: http.MethodPost, path: "/api/v1/namespaces/" + name + "/serviceaccounts", body: named(account)}, http.StatusCreated); err != nil {
			return err
		}
	}
	return nil
}

func named(name string) corpus.Object { return corpus.Object{"metadata": corpus.Object{"name": name}} }
