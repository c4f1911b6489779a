package registry

import (
	"context"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// Store is the storage of one kind, and what discovery says of it.
type Store struct {
	*genericregistry.Store
	kind     *kind.Kind
	strategy strategy
}

var (
	_ rest.StandardStorage    = &Store{}
	_ rest.ShortNamesProvider = &Store{}
	_ rest.CategoriesProvider = &Store{}
)

// ShortNames are kubectl's abbreviations.
func (s *Store) ShortNames() []string { return s.kind.ShortNames }

// Categories are the groups of resources that kubectl knows by one name ("all").
func (s *Store) Categories() []string { return s.kind.Categories }

// NewStore opens the storage of a kind.
func NewStore(scheme *runtime.Scheme, k kind.Kind, opts generic.RESTOptionsGetter) (*Store, error) {
	obj, err := scheme.New(k.GVK)
	if err != nil {
		return nil, err
	}
	list, err := scheme.New(k.GVK.GroupVersion().WithKind(k.GVK.Kind + "List"))
	if err != nil {
		return nil, err
	}
	st := strategy{ObjectTyper: scheme, NameGenerator: names.SimpleNameGenerator, kind: &k, layout: layoutOf(obj)}
	if k.NamesAsGiven {
		st.NameGenerator = asGiven{}
	}
	if k.Expressions != nil {
		st.expressions = newExpressions()
	}
	attrs := attrsOf(k)
	store := &genericregistry.Store{
		NewFunc: newLike(obj), NewListFunc: newLike(list),
		DefaultQualifiedResource:  schema.GroupResource{Group: k.GVK.Group, Resource: k.Resource},
		SingularQualifiedResource: schema.GroupResource{Group: k.GVK.Group, Resource: strings.ToLower(k.GVK.Kind)},
		CreateStrategy:            st, UpdateStrategy: st, DeleteStrategy: st, ResetFieldsStrategy: st,
		TableConvertor:      newTables(k),
		ReturnDeletedObject: k.ReturnsDeleted,
	}
	if k.GracePeriod != nil {
		store.DeleteStrategy = gracefulStrategy{st}
		store.ReturnDeletedObject = true
	}
	if k.TTL > 0 {
		seconds := uint64(k.TTL / time.Second)
		store.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return seconds, nil }
	}
	options := &generic.StoreOptions{RESTOptions: withoutKinds{opts}, AttrFunc: attrs}
	if f := k.IndexField; f != "" {
		value := func(o runtime.Object) string { return k.Fields(o)[f] }
		options.TriggerFunc = storage.IndexerFuncs{f: value}
		options.Indexers = &cache.Indexers{storage.FieldIndex(f): func(o any) ([]string, error) {
			return []string{value(o.(runtime.Object))}, nil
		}}
		store.PredicateFunc = func(l labels.Selector, sel fields.Selector) storage.SelectionPredicate {
			return storage.SelectionPredicate{Label: l, Field: sel, GetAttrs: attrs, IndexFields: []string{f}}
		}
	}
	if err := store.CompleteWithOptions(options); err != nil {
		return nil, err
	}
	return &Store{Store: store, kind: &k, strategy: st}, nil
}

// asGiven is for kinds whose names say what they are: a random one would be none.
type asGiven struct{}

func (asGiven) GenerateName(base string) string { return base }

func newLike(obj runtime.Object) func() runtime.Object {
	return func() runtime.Object { return obj.DeepCopyObject() }
}

// attrsOf returns the labels and selectable fields of an object.
func attrsOf(k kind.Kind) storage.AttrFunc {
	return func(obj runtime.Object) (labels.Set, fields.Set, error) {
		m, err := meta.Accessor(obj)
		if err != nil {
			return nil, nil, err
		}
		set := fields.Set{"metadata.name": m.GetName()}
		if k.Namespaced {
			set["metadata.namespace"] = m.GetNamespace()
		}
		if k.Fields != nil {
			for f, v := range k.Fields(obj) {
				set[f] = v
			}
		}
		return m.GetLabels(), set, nil
	}
}

// SubresourceREST is one of an object's subresources that is written like the object, with
// rules of its own (status, approval, finalize …).
type SubresourceREST struct{ store *genericregistry.Store }

var (
	_ rest.Patcher             = &SubresourceREST{}
	_ rest.Storage             = &SubresourceREST{}
	_ rest.ResetFieldsStrategy = &SubresourceREST{}
	_ rest.TableConvertor      = &SubresourceREST{}
)

// updateRules is what a [SubresourceREST] needs of a strategy.
type updateRules interface {
	rest.RESTUpdateStrategy
	rest.ResetFieldsStrategy
}

func newSubresource(s *Store, rules updateRules) *SubresourceREST {
	c := *s.Store
	c.UpdateStrategy, c.ResetFieldsStrategy = rules, rules
	// What is begun when the object is written (allocation of addresses) is not
	// the business of its parts.
	c.BeginUpdate, c.BeginCreate = nil, nil
	return &SubresourceREST{&c}
}

// New returns an empty object of the kind.
func (p *SubresourceREST) New() runtime.Object { return p.store.New() }

// Destroy does nothing: the storage belongs to the main resource.
func (p *SubresourceREST) Destroy() {}

// Get reads the whole object.
func (p *SubresourceREST) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	return p.store.Get(ctx, name, o)
}

// Update writes the part. It never creates the object.
func (p *SubresourceREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, _ bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return p.store.Update(ctx, name, info, create, update, false, o)
}

// GetResetFields names what an apply to the part never owns.
func (p *SubresourceREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return p.store.GetResetFields()
}

// ConvertToTable prints the whole object.
func (p *SubresourceREST) ConvertToTable(ctx context.Context, obj, o runtime.Object) (*metav1.Table, error) {
	return p.store.ConvertToTable(ctx, obj, o)
}

// Status is the kind's status subresource.
func (s *Store) Status() *SubresourceREST { return newSubresource(s, statusStrategy{s.strategy}) }
