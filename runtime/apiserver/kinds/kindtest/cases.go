package kindtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// Case is a manifest with one change, and the error that the change makes.
type Case struct {
	Name     string
	Manifest string
	From, To string // the change: the first From becomes To
	Want     string // part of the error; empty for none
}

// Change is a case in one line.
func Change(name, manifest, from, to, want string) Case {
	return Case{Name: name, Manifest: manifest, From: from, To: to, Want: want}
}

// changed applies the change of a case.
func (c Case) changed(t *testing.T) string {
	t.Helper()
	if !strings.Contains(c.Manifest, c.From) {
		t.Fatalf("%q is not in the manifest", c.From)
	}
	return strings.Replace(c.Manifest, c.From, c.To, 1)
}

// Row finds the row of a manifest and the object, decoded and defaulted.
func Row(t *testing.T, rows []kind.Kind, manifest string) (kind.Kind, runtime.Object) {
	t.Helper()
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal([]byte(manifest), &head); err != nil {
		t.Fatalf("%v in\n%s", err, manifest)
	}
	gvk := schema.FromAPIVersionAndKind(head.APIVersion, head.Kind)
	for _, k := range rows {
		if k.GVK != gvk {
			continue
		}
		obj, err := clientgoscheme.Scheme.New(gvk)
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

// expect checks that errors name want, or that there are none where want is empty.
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

// Create checks the cases as objects that are created. Without its change each
// manifest is good. What the cluster does not support is left out: samples use all that
// the API has.
func Create(t *testing.T, rows []kind.Kind, cases []Case) {
	t.Helper()
	create := func(t *testing.T, manifest, want string) {
		t.Helper()
		k, obj := Row(t, rows, manifest)
		if k.PrepareForCreate != nil {
			k.PrepareForCreate(obj)
		}
		k.Unsupported = nil
		expect(t, k.ErrorsOnCreate(t.Context(), obj), want)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if c.From != "" {
				create(t, c.Manifest, "")
			}
			create(t, c.changed(t), c.Want)
		})
	}
}

// Update checks the cases as writes of the changed manifest over the other.
func Update(t *testing.T, rows []kind.Kind, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			k, old := Row(t, rows, c.Manifest)
			_, obj := Row(t, rows, c.changed(t))
			if k.PrepareForUpdate != nil {
				k.PrepareForUpdate(obj, old)
			}
			expect(t, k.ErrorsOnUpdate(t.Context(), obj, old), c.Want)
		})
	}
}

// UpdateStatus checks the cases as writes to the status subresource.
func UpdateStatus(t *testing.T, rows []kind.Kind, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			k, old := Row(t, rows, c.Manifest)
			_, obj := Row(t, rows, c.changed(t))
			if k.PrepareForStatusUpdate != nil {
				k.PrepareForStatusUpdate(obj, old)
			}
			expect(t, k.ErrorsOnStatusUpdate(t.Context(), obj, old), c.Want)
		})
	}
}

// SubresourceCases returns a check of cases as writes to a subresource that has rules
// of its own.
func SubresourceCases(t *testing.T, rows []kind.Kind, subresource string) func(Case) {
	return func(c Case) {
		t.Run(subresource+" "+c.Name, func(t *testing.T) {
			k, old := Row(t, rows, c.Manifest)
			_, obj := Row(t, rows, c.changed(t))
			for _, sub := range k.Subresources {
				if sub.Name == subresource && sub.Validate != nil {
					expect(t, sub.Validate(obj, old), c.Want)
					return
				}
			}
			t.Fatalf("%s has no rules for %s", k.GVK, subresource)
		})
	}
}

// Printed is a manifest and its row in a table, cells parted by " | ", those of wide
// columns in parentheses.
type Printed struct{ Name, Manifest, Want string }

// Cells checks rows as kubectl get prints them at 12:00 on 2026-01-01 UTC.
func Cells(t *testing.T, rows []kind.Kind, cases []Printed) {
	t.Helper()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			k, obj := Row(t, rows, c.Manifest)
			var out []string
			for i, cell := range k.Cells(obj, now) {
				text := fmt.Sprint(cell)
				if k.Columns[i].Priority > 0 {
					text = "(" + text + ")"
				}
				out = append(out, text)
			}
			if got := strings.Join(out, " | "); got != c.Want {
				t.Errorf("\n got %s\nwant %s", got, c.Want)
			}
		})
	}
}
