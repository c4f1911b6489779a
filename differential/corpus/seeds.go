package corpus

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed seeds/*.yaml
var manifests embed.FS

// Object is an API object as JSON has it.
type Object = map[string]any

// Seeds returns the objects to begin with, by kind. Upstream accepts each of them where it
// serves the kind. They are in no namespace; "$NAMESPACE" stands where they refer to their own.
func Seeds() (map[schema.GroupVersionKind][]Object, error) {
	files, err := fs.Glob(manifests, "seeds/*.yaml")
	if err != nil {
		return nil, err
	}
	out := map[schema.GroupVersionKind][]Object{}
	for _, name := range files {
		data, err := manifests.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
			var o unstructured.Unstructured
			if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			gvk := o.GroupVersionKind()
			if gvk.Kind == "" {
				return nil, fmt.Errorf("%s: an object without a kind", name)
			}
			out[gvk] = append(out[gvk], o.Object)
		}
	}
	return out, nil
}

// In replaces "$NAMESPACE" in an object.
func In(namespace string, o Object) Object {
	return in(namespace, o).(Object)
}

func in(namespace string, v any) any {
	switch v := v.(type) {
	case Object:
		out := make(Object, len(v))
		for k, x := range v {
			out[k] = in(namespace, x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = in(namespace, x)
		}
		return out
	case string:
		if v == "$NAMESPACE" {
			return namespace
		}
	}
	return v
}
