package registry

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// mark gives every leaf of v a value that is not its zero.
func mark(v reflect.Value) {
	switch v.Addr().Interface().(type) {
	case *metav1.Time, *metav1.MicroTime, *runtime.RawExtension:
		return
	case *resource.Quantity:
		v.Set(reflect.ValueOf(resource.MustParse("7")))
		return
	case *intstr.IntOrString:
		v.Set(reflect.ValueOf(intstr.FromInt32(7)))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		mark(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			mark(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		mark(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		mark(key)
		mark(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8:
		v.SetUint(7)
	}
}

// marked is an object of a kind with all fields set and metadata that a writer would
// like, and one as it was before.
func marked(t *testing.T, scheme *runtime.Scheme, k kind.Kind) (obj, old runtime.Object) {
	t.Helper()
	old, err := scheme.New(k.GVK)
	if err != nil {
		t.Fatal(err)
	}
	obj = old.DeepCopyObject()
	l := layoutOf(obj)
	for _, i := range append(l.others, l.status) {
		mark(reflect.ValueOf(obj).Elem().Field(i))
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		t.Fatal(err)
	}
	m.SetLabels(map[string]string{"a": "b"})
	m.SetAnnotations(map[string]string{"a": "b"})
	m.SetFinalizers([]string{"a/b"})
	m.SetOwnerReferences([]metav1.OwnerReference{{Name: "a"}})
	return obj, old
}

// Each write changes its own part of an object, of whatever kind: one to status changes
// nothing that is not status, one to the object no status. What of metadata goes with
// status is Kubernetes' choice for each kind.
func TestWritesKeepToTheirPart(t *testing.T) {
	all := kinds.Table()
	scheme, err := NewScheme(all)
	if err != nil {
		t.Fatal(err)
	}
	keeps := map[string]kind.Metadata{
		"Pod": kind.OwnerReferences, "Deployment": kind.Labels, "VolumeAttachment": kind.AllMetadata, "PodCertificateRequest": kind.AllMetadata,
		"FlowSchema": kind.AllMetadata, "PriorityLevelConfiguration": kind.AllMetadata, "ValidatingAdmissionPolicy": kind.AllMetadata,
		"ServiceCIDR": kind.AllMetadata, "StorageVersionMigration": kind.AllMetadata, "DeviceTaintRule": kind.AllMetadata, "ResourceClaim": kind.AllMetadata,
		"CSINode": kind.AllMetadata,
	}
	seen := 0
	for _, k := range all {
		if !k.Status || k.Alias != nil || k.Review != kind.NoReview {
			continue
		}
		seen++
		t.Run(k.GVK.Kind, func(t *testing.T) {
			obj, old := marked(t, scheme, k)
			st := strategy{ObjectTyper: scheme, kind: &k, layout: layoutOf(obj)}
			was := reflect.ValueOf(old.DeepCopyObject()).Elem()
			wanted := reflect.ValueOf(obj.DeepCopyObject()).Elem().Field(st.layout.status).Interface()

			written := obj.DeepCopyObject()
			statusStrategy{st}.PrepareForUpdate(t.Context(), written, old)
			for _, i := range st.layout.others {
				if !equality.Semantic.DeepEqual(reflect.ValueOf(written).Elem().Field(i).Interface(), was.Field(i).Interface()) {
					t.Errorf("a write to status changes %s", was.Type().Field(i).Name)
				}
			}
			off := k.GVK.Kind == "CSINode" // all of its status is behind a gate
			if !off && reflect.ValueOf(written).Elem().Field(st.layout.status).IsZero() && !reflect.ValueOf(wanted).IsZero() {
				t.Error("a write to status is lost")
			}
			m, err := meta.Accessor(written)
			if err != nil {
				t.Fatal(err)
			}
			whole, part := keeps[k.GVK.Kind] == kind.AllMetadata, keeps[k.GVK.Kind]
			for name, got := range map[string]struct{ kept, want bool }{
				"labels":          {m.GetLabels() == nil, whole || part == kind.Labels},
				"annotations":     {m.GetAnnotations() == nil, whole},
				"finalizers":      {m.GetFinalizers() == nil, whole},
				"ownerReferences": {m.GetOwnerReferences() == nil, whole || part == kind.OwnerReferences},
			} {
				if got.kept != got.want {
					t.Errorf("a write to status keeps %s: %t", name, got.kept)
				}
			}

			written = obj.DeepCopyObject()
			st.PrepareForUpdate(t.Context(), written, old)
			if !equality.Semantic.DeepEqual(reflect.ValueOf(written).Elem().Field(st.layout.status).Interface(), was.Field(st.layout.status).Interface()) {
				t.Error("a write to the object changes status")
			}
			written = obj.DeepCopyObject()
			st.PrepareForCreate(t.Context(), written)
			kept := obj.DeepCopyObject()
			if k.Drop != nil {
				k.Drop(kept) // what is off does not stay, wherever it is
			}
			if brings := equality.Semantic.DeepEqual(reflect.ValueOf(written).Elem().Field(st.layout.status).Interface(), reflect.ValueOf(kept).Elem().Field(st.layout.status).Interface()); brings != k.NewHasStatus {
				t.Errorf("a new object brings its status along: %t", brings)
			}
		})
	}
	if seen < 20 {
		t.Errorf("%d kinds with a status", seen)
	}
}
