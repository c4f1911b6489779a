package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gantry-run/gantry/differential/corpus"
	"github.com/gantry-run/gantry/e2e/manifests"
)

// definitions are kinds that manifests bring.
type definitions struct {
	crds []*unstructured.Unstructured
	// seeds are the least objects of each version, those that upstream takes.
	seeds map[schema.GroupVersionKind][]corpus.Object
}

// readDefinitions reads the files that patterns match.
func readDefinitions(patterns []string) (definitions, error) {
	d := definitions{seeds: map[schema.GroupVersionKind][]corpus.Object{}}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			return d, errors.Join(fmt.Errorf("-manifests: no file is %s", pattern), err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return d, err
			}
			objects, err := manifests.Read(data)
			if err != nil {
				return d, fmt.Errorf("%s: %w", file, err)
			}
			for _, o := range objects {
				if o.GetKind() == "CustomResourceDefinition" {
					// Nobody is there to convert.
					unstructured.RemoveNestedField(o.Object, "spec", "conversion")
					d.crds = append(d.crds, o)
				}
			}
		}
	}
	return d, nil
}

// define makes the definitions on both servers, waits until they are served and published,
// and takes of upstream which least objects are seeds.
func (r *runner) define(ctx context.Context, d definitions) error {
	for side, s := range r.servers {
		for _, crd := range d.crds {
			if err := s.eventually(ctx, request{method: http.MethodPost, path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body: crd.Object}, http.StatusCreated); err != nil {
				return err
			}
		}
		for _, crd := range d.crds {
			for _, k := range manifests.Kinds(crd) {
				if err := s.eventually(ctx, request{method: http.MethodGet, path: groupPath(k.GroupVersionKind.GroupVersion()) + "/" + k.Resource}, http.StatusOK); err != nil {
					return err
				}
				if err := s.eventually(ctx, request{method: http.MethodGet, path: "/openapi/v3" + groupPath(k.GroupVersionKind.GroupVersion())}, http.StatusOK); err != nil {
					return err
				}
				if side == 0 {
					if err := r.keepLeast(ctx, d, k); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// keepLeast keeps the least object of a kind, if upstream takes it.
func (r *runner) keepLeast(ctx context.Context, d definitions, k manifests.Kind) error {
	t := target{gvk: k.GroupVersionKind, resource: k.Resource, namespaced: k.Namespaced}
	o := k.Least()
	a, err := r.servers[0].do(ctx, request{method: http.MethodPost, path: t.path("default"), query: map[string][]string{"dryRun": {"All"}}, body: o.Object})
	if err != nil {
		return err
	}
	d.seeds[k.GroupVersionKind] = nil
	if a.Code == http.StatusCreated {
		d.seeds[k.GroupVersionKind] = []corpus.Object{o.Object}
	}
	return nil
}
