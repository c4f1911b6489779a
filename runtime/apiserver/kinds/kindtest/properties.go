package kindtest

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// Properties checks what holds for every row: it is as the group's listing says,
// defaulting is idempotent, validation and preparation change nothing that they may not,
// errors come in one order, cells match columns, and fields are the same for all objects.
func Properties(t *testing.T, rows []kind.Kind) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, []kind.Kind){
		"names are Kubernetes'":      namesAreKubernetes,
		"rows are as listed":         rowsAreAsListed,
		"default is idempotent":      defaultIsIdempotent,
		"columns and cells agree":    columnsAndCellsAgree,
		"fields are constant":        fieldsAreConstant,
		"validation changes nothing": validationChangesNothing,
		"validation survives it":     validationSurvives,
		"preparation keeps old":      preparationKeepsOld,
		"scale sets what it reads":   scaleSetsWhatItReads,
		"errors come in order":       errorsComeInOrder,
	} {
		t.Run(name, func(t *testing.T) { check(t, rows) })
	}
}

// Scope and plural are those that Kubernetes' clients know, and status is a
// subresource where the type has one.
func namesAreKubernetes(t *testing.T, rows []kind.Kind) {
	// What the static mapper has not heard of.
	clusterWide := sets.New("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
		"FlowSchema", "PriorityLevelConfiguration", "IngressClass", "RuntimeClass", "CSIDriver", "CSINode", "SelfSubjectReview", "ClusterTrustBundle",
		"ServiceCIDR", "IPAddress", "VolumeAttributesClass", "StorageVersionMigration",
		"DeviceClass", "DeviceTaintRule", "ResourceSlice")
	gated := sets.New("CSINode") // the status of which is not served yet
	mapper := testrestmapper.TestOnlyStaticRESTMapper(clientgoscheme.Scheme)
	for _, k := range rows {
		m, err := mapper.RESTMapping(k.GVK.GroupKind(), k.GVK.Version)
		if err != nil {
			t.Errorf("%s: %v", k.GVK, err)
			continue
		}
		if namespaced := m.Scope.Name() == meta.RESTScopeNameNamespace && !clusterWide.Has(k.GVK.Kind); namespaced != k.Namespaced || m.Resource.Resource != k.Resource {
			t.Errorf("%s: is %s, namespaced %t", k.GVK, m.Resource.Resource, namespaced)
		}
		obj, err := clientgoscheme.Scheme.New(k.GVK)
		if err != nil {
			t.Errorf("%s: %v", k.GVK, err)
			continue
		}
		if _, status := reflect.TypeOf(obj).Elem().FieldByName("Status"); k.Review == kind.NoReview && status != k.Status && !gated.Has(k.GVK.Kind) {
			t.Errorf("%s: has a status: %t", k.GVK, status)
		}
	}
}

const rounds = 60

// forEachRow calls f with every row and random objects of its type.
func forEachRow(t *testing.T, rows []kind.Kind, f func(t *testing.T, k kind.Kind, obj runtime.Object)) {
	for _, k := range rows {
		if k.Review != kind.NoReview {
			continue // has no rules
		}
		t.Run(k.GVK.GroupKind().String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for i := 0; i < rounds; i++ {
				obj, err := clientgoscheme.Scheme.New(k.GVK)
				if err != nil {
					t.Fatalf("the row's type is not known: %v", err)
				}
				if i > 0 { // the first object is empty
					fill(r, reflect.ValueOf(obj).Elem())
				}
				f(t, k, obj)
			}
		})
	}
}

func defaultIsIdempotent(t *testing.T, rows []kind.Kind) {
	forEachRow(t, rows, func(t *testing.T, k kind.Kind, obj runtime.Object) {
		if k.Default == nil {
			return
		}
		k.Default(obj)
		once := obj.DeepCopyObject()
		k.Default(obj)
		if !equality.Semantic.DeepEqual(once, obj) {
			t.Fatalf("default changed its own result:\n%#v\n%#v", once, obj)
		}
	})
}

func columnsAndCellsAgree(t *testing.T, rows []kind.Kind) {
	now := time.Unix(2e9, 0)
	forEachRow(t, rows, func(t *testing.T, k kind.Kind, obj runtime.Object) {
		if k.Alias != nil {
			return // printed as what it is an alias of
		}
		if len(k.Columns) == 0 || k.Cells == nil {
			t.Fatal("no columns")
		}
		row := k.Cells(obj, now)
		if len(row) != len(k.Columns) {
			t.Fatalf("%d cells for %d columns", len(row), len(k.Columns))
		}
		for i, c := range row {
			switch c.(type) {
			case string, bool:
			case int64:
			default:
				t.Fatalf("column %s: cell of type %T", k.Columns[i].Name, c)
			}
		}
	})
}

func fieldsAreConstant(t *testing.T, rows []kind.Kind) {
	keys := map[string]fields.Set{}
	forEachRow(t, rows, func(t *testing.T, k kind.Kind, obj runtime.Object) {
		if k.Fields == nil {
			if k.IndexField != "" {
				t.Fatal("index without fields")
			}
			return
		}
		set := k.Fields(obj)
		if _, ok := set[k.IndexField]; k.IndexField != "" && !ok {
			t.Fatalf("index field %s is not among the fields", k.IndexField)
		}
		first, ok := keys[k.GVK.String()]
		if !ok {
			keys[k.GVK.String()] = set
			return
		}
		if len(first) != len(set) {
			t.Fatalf("fields differ: %v, %v", first, set)
		}
		for key := range set {
			if _, ok := first[key]; !ok {
				t.Fatalf("fields differ in %s", key)
			}
		}
	})
}

// Validation must stand whatever a client sends, defaulted or not, and leave the
// objects as they are.
func validationChangesNothing(t *testing.T, rows []kind.Kind) {
	forEachRow(t, rows, func(t *testing.T, k kind.Kind, obj runtime.Object) {
		if k.Default != nil {
			k.Default(obj)
		}
		before, old := obj.DeepCopyObject(), obj.DeepCopyObject()
		k.ErrorsOnCreate(t.Context(), obj)
		if k.Declared != nil {
			if errs := k.Declared(t.Context(), operation.Operation{Type: operation.Update}, obj, old); len(errs) > 0 {
				t.Fatalf("declared rules of an update that changes nothing: %v", errs.ToAggregate())
			}
		}
		if k.ValidateUpdate != nil {
			if errs := k.ValidateUpdate(obj, old); len(errs) > 0 {
				t.Fatalf("an update that changes nothing: %v", errs.ToAggregate())
			}
		}
		if k.ValidateStatusUpdate != nil {
			k.ValidateStatusUpdate(obj, old)
		}
		if k.Warnings != nil {
			k.Warnings(obj)
		}
		if !equality.Semantic.DeepEqual(before, obj) || !equality.Semantic.DeepEqual(before, old) {
			t.Fatal("validation changed an object")
		}
	})
}

// validationSurvives: an update and a write to status may change anything to anything.
func validationSurvives(t *testing.T, rows []kind.Kind) {
	last := map[schema.GroupVersionKind]runtime.Object{}
	forEachRow(t, rows, func(t *testing.T, k kind.Kind, obj runtime.Object) {
		if k.Default != nil {
			k.Default(obj)
		}
		old := last[k.GVK]
		last[k.GVK] = obj
		if old == nil {
			return
		}
		k.ErrorsOnUpdate(t.Context(), obj, old)
		k.ErrorsOnStatusUpdate(t.Context(), obj, old)
	})
}

func preparationKeepsOld(t *testing.T, rows []kind.Kind) {
	forEachRow(t, rows, func(t *testing.T, k kind.Kind, obj runtime.Object) {
		if k.PrepareForCreate != nil {
			k.PrepareForCreate(obj.DeepCopyObject())
		}
		for _, prepare := range []func(obj, old runtime.Object){k.PrepareForUpdate, k.PrepareForStatusUpdate} {
			if prepare == nil {
				continue
			}
			old := obj.DeepCopyObject()
			prepare(obj.DeepCopyObject(), old)
			if !equality.Semantic.DeepEqual(old, obj) {
				t.Fatal("preparation changed the old object")
			}
		}
	})
}

func scaleSetsWhatItReads(t *testing.T, rows []kind.Kind) {
	forEachRow(t, rows, func(t *testing.T, k kind.Kind, obj runtime.Object) {
		if k.Scale == nil {
			return
		}
		k.Scale.SetReplicas(obj, 7)
		if n, _ := k.Scale.Replicas(obj); n != 7 {
			t.Fatalf("replicas %d", n)
		}
		k.Scale.Selector(obj)
	})
}

// A client that sends the same object twice is told the same, in the same order.
func errorsComeInOrder(t *testing.T, rows []kind.Kind) {
	forEachRow(t, rows, func(t *testing.T, k kind.Kind, obj runtime.Object) {
		check := func() field.ErrorList {
			return append(k.ErrorsOnCreate(t.Context(), obj), k.ErrorsOnStatusUpdate(t.Context(), obj, obj)...)
		}
		first := check()
		for range 5 {
			again := check()
			for i := range first {
				if i >= len(again) || again[i].Error() != first[i].Error() {
					t.Fatalf("error %d was once %v", i, first[i])
				}
			}
		}
	})
}
