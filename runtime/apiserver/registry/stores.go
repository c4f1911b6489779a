package registry

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// Stores holds the storage of every kind of a table that is stored.
type Stores struct {
	byKind map[schema.GroupKind]*Store
	byType map[reflect.Type]*Store
}

// OpenStores opens the storage of each kind, once for those that share one.
func OpenStores(scheme *runtime.Scheme, table []kind.Kind, opts generic.RESTOptionsGetter) (*Stores, error) {
	st := &Stores{byKind: map[schema.GroupKind]*Store{}, byType: map[reflect.Type]*Store{}}
	for _, k := range table {
		if !k.Stored() || k.Alias != nil {
			continue
		}
		store, err := NewStore(scheme, k, opts)
		if err != nil {
			return nil, fmt.Errorf("kind %s: %w", k.GVK, err)
		}
		st.byKind[k.GVK.GroupKind()] = store
		st.byType[reflect.TypeOf(store.New())] = store
	}
	for _, k := range table {
		if k.Alias == nil {
			continue
		}
		owner := st.byKind[k.Alias.Of.GroupKind()]
		if owner == nil {
			return nil, fmt.Errorf("kind %s is an alias of %s, which the kinds table lacks", k.GVK, k.Alias.Of)
		}
		obj, err := scheme.New(k.GVK)
		if err != nil {
			return nil, err
		}
		st.byKind[k.GVK.GroupKind()] = owner.alias(k, newLike(obj))
	}
	return st, nil
}

// Find puts the store of T's kind into place, or says that the table lacks it.
func Find[T runtime.Object](st *Stores, place **Store) error {
	t := reflect.TypeFor[T]()
	if *place = st.byType[t]; *place == nil {
		return fmt.Errorf("the kinds table lacks %s, without which the server cannot work", t.Elem().Name())
	}
	return nil
}

// alias is the storage of s with the rules of another row for what is written in
// that row's group. empty makes an object of that row's type.
func (s *Store) alias(k kind.Kind, empty func() runtime.Object) *Store {
	rules := s.aliasRules(k, empty)
	st := s.strategy
	st.kind = &rules
	generic := *s.Store
	generic.CreateStrategy, generic.UpdateStrategy, generic.DeleteStrategy, generic.ResetFieldsStrategy = st, st, st, st
	return &Store{Store: &generic, kind: &rules, strategy: st}
}

// aliasRules are those of s, with the names of k and its validation, which is of the
// form in which k is served.
func (s *Store) aliasRules(k kind.Kind, empty func() runtime.Object) kind.Kind {
	served := func(stored runtime.Object) (runtime.Object, field.ErrorList) {
		out := empty()
		if err := k.Alias.FromStored(stored, out); err != nil {
			return nil, field.ErrorList{field.InternalError(nil, err)}
		}
		return out, nil
	}
	rules := *s.kind
	rules.GVK, rules.Resource, rules.ShortNames, rules.Categories = k.GVK, k.Resource, k.ShortNames, k.Categories
	rules.CreateOnUpdate, rules.RequireResourceVersion = k.CreateOnUpdate, k.RequireResourceVersion
	rules.AnyFinalizer, rules.Declared = k.AnyFinalizer, nil
	inServed := func(check func(runtime.Object) field.ErrorList) func(runtime.Object) field.ErrorList {
		return func(obj runtime.Object) field.ErrorList {
			o, errs := served(obj)
			if errs != nil || check == nil {
				return errs
			}
			return check(o)
		}
	}
	rules.Validate, rules.ValidateCreate = inServed(k.Validate), inServed(k.ValidateCreate)
	rules.ValidateUpdate = func(obj, old runtime.Object) field.ErrorList {
		o, errs := served(obj)
		if errs != nil || k.ValidateUpdate == nil {
			return errs
		}
		was, errs := served(old)
		if errs != nil {
			return errs
		}
		return k.ValidateUpdate(o, was)
	}
	return rules
}
