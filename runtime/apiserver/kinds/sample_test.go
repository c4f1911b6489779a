package kinds

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// rowOf finds the row of a manifest and the object, decoded and defaulted.
func rowOf(t *testing.T, manifest string) (kind.Kind, runtime.Object) {
	t.Helper()
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal([]byte(manifest), &head); err != nil {
		t.Fatalf("%v in\n%s", err, manifest)
	}
	gvk := schema.FromAPIVersionAndKind(head.APIVersion, head.Kind)
	for _, k := range Table() {
		if k.GVK != gvk {
			continue
		}
		obj, err := testScheme(t).New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict([]byte(manifest), obj); err != nil {
			t.Fatalf("%v in\n%s", err, manifest)
		}
		if k.Default != nil {
			k.Default(obj)
		}
		return k, obj
	}
	t.Fatalf("no row for %s", gvk)
	return kind.Kind{}, nil
}

// expect checks that errors name want, or that there are none where want is
// empty.
func expect(t *testing.T, errs field.ErrorList, want string) {
	t.Helper()
	got := ""
	if err := errs.ToAggregate(); err != nil {
		got = err.Error()
	}
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("errors %q, want %q", got, want)
	}
}

func validate(t *testing.T, manifest, want string) {
	t.Helper()
	k, obj := rowOf(t, manifest)
	if k.PrepareForCreate != nil {
		k.PrepareForCreate(obj)
	}
	expect(t, k.ErrorsOnCreate(t.Context(), obj), want)
}

// update validates old turned into new, each written as a change of manifest.
func update(t *testing.T, manifest, from, to, want string) {
	t.Helper()
	if !strings.Contains(manifest, from) {
		t.Fatalf("%q is not in the manifest", from)
	}
	k, old := rowOf(t, manifest)
	_, obj := rowOf(t, strings.Replace(manifest, from, to, 1))
	if k.PrepareForUpdate != nil {
		k.PrepareForUpdate(obj, old)
	}
	expect(t, k.ErrorsOnUpdate(t.Context(), obj, old), want)
}
