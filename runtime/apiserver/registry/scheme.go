package registry

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// NewScheme returns a scheme for the table. The published types are the hub: the
// stored version of each is registered a second time under the version __internal,
// which the generic registry insists on, so that conversion to it is setting a
// name; other versions of a kind are converted by the functions of its row.
func NewScheme(table []kind.Kind) (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		return nil, err
	}
	for _, versions := range servedVersions(table) {
		if err := s.SetVersionPriority(versions...); err != nil {
			return nil, err
		}
	}
	for _, k := range table {
		if err := addHub(s, k); err != nil {
			return nil, fmt.Errorf("kind %s: %w", k.GVK, err)
		}
	}
	others := map[schema.GroupVersion]bool{}
	for _, k := range table {
		if gv := k.GVK.GroupVersion(); !others[gv] {
			others[gv] = true
			addHubOfOthers(s, gv)
		}
	}
	// Scale is served by resources of every group, always as autoscaling/v1.
	s.AddKnownTypeWithName(internal(autoscalingv1.GroupName).WithKind("Scale"), &autoscalingv1.Scale{})
	for _, k := range table {
		if err := addKind(s, k, fieldsOf(table, k)); err != nil {
			return nil, fmt.Errorf("kind %s: %w", k.GVK, err)
		}
	}
	return s, addConnectOptions(s)
}

// servedVersions lists the versions of each group, groups in the order of the
// table, the stored version of a group's first kind first.
func servedVersions(table []kind.Kind) [][]schema.GroupVersion {
	var out [][]schema.GroupVersion
	at := map[string]int{}
	for _, k := range table {
		i, known := at[k.GVK.Group]
		if !known {
			i = len(out)
			at[k.GVK.Group] = i
			out = append(out, nil)
		}
		for _, gvk := range servedKinds(k) {
			if !slices.Contains(out[i], gvk.GroupVersion()) {
				out[i] = append(out[i], gvk.GroupVersion())
			}
		}
	}
	return out
}

// servedKinds are the names under which a kind is served, the stored one first.
func servedKinds(k kind.Kind) []schema.GroupVersionKind {
	out := []schema.GroupVersionKind{k.GVK}
	for _, v := range k.Versions {
		out = append(out, k.GVK.GroupKind().WithVersion(v.Name))
	}
	return out
}

// ServedVersions are the versions in which a kind is served, the stored one first.
func ServedVersions(k kind.Kind) []string {
	var out []string
	for _, gvk := range servedKinds(k) {
		out = append(out, gvk.Version)
	}
	return out
}

func internal(group string) schema.GroupVersion {
	return schema.GroupVersion{Group: group, Version: runtime.APIVersionInternal}
}

// addHub registers the stored type of a kind, and that of its list, under
// __internal.
func addHub(s *runtime.Scheme, k kind.Kind) error {
	stored := storedKind(k)
	for _, suffix := range []string{"", "List"} {
		obj, err := s.New(stored.GroupVersion().WithKind(stored.Kind + suffix))
		if runtime.IsNotRegisteredError(err) && k.Review != kind.NoReview && suffix != "" {
			continue // nobody lists what is not stored
		}
		if err != nil {
			return err
		}
		s.AddKnownTypeWithName(internal(k.GVK.Group).WithKind(k.GVK.Kind+suffix), obj)
	}
	return nil
}

// addHubOfOthers does the same with the other types of a group version: what
// subresources take and give.
func addHubOfOthers(s *runtime.Scheme, gv schema.GroupVersion) {
	hub := internal(gv.Group)
	for name, t := range clientgoscheme.Scheme.KnownTypes(gv) {
		// The options of requests and watch events belong to no group: they have a hub
		// of their own.
		if t.PkgPath() == reflect.TypeFor[metav1.Status]().PkgPath() || s.Recognizes(hub.WithKind(name)) {
			continue
		}
		s.AddKnownTypeWithName(hub.WithKind(name), reflect.New(t).Interface().(runtime.Object))
	}
}

// storedKind is the kind whose Go type is stored.
func storedKind(k kind.Kind) schema.GroupVersionKind {
	if k.Alias != nil {
		return k.Alias.Of
	}
	return k.GVK
}

// fieldsOf is the row's function of selectable fields, or that of the kind it is an
// alias of.
func fieldsOf(table []kind.Kind, k kind.Kind) func(runtime.Object) fields.Set {
	stored := storedKind(k)
	i := slices.IndexFunc(table, func(k kind.Kind) bool { return k.GVK == stored })
	if i < 0 {
		return nil
	}
	return table[i].Fields
}

// addKind registers defaulting, conversion and the fields that may be selected, with
// their names in the store.
func addKind(s *runtime.Scheme, k kind.Kind, fieldsOf func(runtime.Object) fields.Set) error {
	stored := storedKind(k)
	selectable := map[string]string{"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace"}
	if fieldsOf != nil && !k.Namespaced {
		// As with upstream: kinds with fields of their own say which they have, and the
		// others have both.
		delete(selectable, "metadata.namespace")
	}
	if fieldsOf != nil {
		obj, err := s.New(stored)
		if err != nil {
			return err
		}
		for f := range fieldsOf(obj) {
			if k.Alias == nil || k.Alias.Fields == nil {
				selectable[f] = f
			}
		}
	}
	if k.Alias != nil {
		maps.Copy(selectable, k.Alias.Fields)
		if err := addConversion(s, k.GVK, stored, k.Alias.Conversion); err != nil {
			return err
		}
	}
	if err := addVersion(s, k.GVK, defaults(k), selectable); err != nil {
		return err
	}
	for _, v := range k.Versions {
		gvk := k.GVK.GroupKind().WithVersion(v.Name)
		if err := addVersion(s, gvk, v.Default, selectable); err != nil {
			return err
		}
		if err := addConversion(s, gvk, stored, v.Conversion); err != nil {
			return err
		}
	}
	return nil
}

func defaults(k kind.Kind) func(runtime.Object) {
	if k.DefaultTimes == nil {
		return k.Default
	}
	return func(obj runtime.Object) {
		if k.Default != nil {
			k.Default(obj)
		}
		k.DefaultTimes(obj, time.Now())
	}
}

func addVersion(s *runtime.Scheme, gvk schema.GroupVersionKind, fill func(runtime.Object), selectable map[string]string) error {
	obj, err := s.New(gvk)
	if err != nil {
		return err
	}
	if fill != nil {
		s.AddTypeDefaultingFunc(obj, func(o any) { fill(o.(runtime.Object)) })
	}
	return s.AddFieldLabelConversionFunc(gvk, func(label, value string) (string, string, error) {
		stored, ok := selectable[label]
		if !ok {
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}
		return stored, value, nil
	})
}

// addConversion registers the ways between a served version and the stored one,
// for objects and for lists of them.
func addConversion(s *runtime.Scheme, served, stored schema.GroupVersionKind, c kind.Conversion) error {
	for _, way := range []struct {
		from, to schema.GroupVersionKind
		convert  func(in, out runtime.Object) error
	}{{served, stored, c.ToStored}, {stored, served, c.FromStored}} {
		convert := func(in, out any, _ conversion.Scope) error {
			return way.convert(in.(runtime.Object), out.(runtime.Object))
		}
		if err := register(s, way.from, way.to, "", convert); err != nil {
			return err
		}
		item, err := s.New(way.to)
		if err != nil {
			return err
		}
		convertList := func(in, out any, _ conversion.Scope) error {
			return eachItem(in.(runtime.Object), out.(runtime.Object), item, way.convert)
		}
		if err := register(s, way.from, way.to, "List", convertList); err != nil {
			return err
		}
	}
	return nil
}

func register(s *runtime.Scheme, from, to schema.GroupVersionKind, suffix string, f conversion.ConversionFunc) error {
	in, err := s.New(from.GroupVersion().WithKind(from.Kind + suffix))
	if err != nil {
		return err
	}
	out, err := s.New(to.GroupVersion().WithKind(to.Kind + suffix))
	if err != nil {
		return err
	}
	return s.AddConversionFunc(in, out, f)
}

// eachItem converts a list item by item into another type of list, whose items are
// like item.
func eachItem(in, out, item runtime.Object, convert func(in, out runtime.Object) error) error {
	from, err := meta.ListAccessor(in)
	if err != nil {
		return err
	}
	to, err := meta.ListAccessor(out)
	if err != nil {
		return err
	}
	to.SetResourceVersion(from.GetResourceVersion())
	to.SetContinue(from.GetContinue())
	to.SetRemainingItemCount(from.GetRemainingItemCount())
	items := []runtime.Object{}
	err = meta.EachListItem(in, func(o runtime.Object) error {
		converted := item.DeepCopyObject()
		items = append(items, converted)
		return convert(o, converted)
	})
	if err != nil {
		return err
	}
	return meta.SetList(out, items)
}
