package registry

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// strategy is a row of the table as the generic registry wants it: the rules of
// writes to the object itself.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	kind   *kind.Kind
	layout layout
	// expressions is nil for kinds that have none.
	expressions *expressions
}

var (
	_ rest.RESTCreateStrategy  = strategy{}
	_ rest.RESTUpdateStrategy  = strategy{}
	_ rest.ResetFieldsStrategy = strategy{}

	_ rest.GarbageCollectionDeleteStrategy = strategy{}
)

func (s strategy) NamespaceScoped() bool                    { return s.kind.Namespaced }
func (s strategy) Canonicalize(runtime.Object)              {}
func (s strategy) AllowCreateOnUpdate(context.Context) bool { return s.kind.CreateOnUpdate }
func (s strategy) AllowUnconditionalUpdate(context.Context) bool {
	return !s.kind.RequireResourceVersion
}

// DefaultGarbageCollectionPolicy is what becomes of an object's dependents when its
// deletion does not say.
func (s strategy) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	switch {
	case s.kind.NoDependents:
		return rest.Unsupported
	case s.kind.Orphans:
		return rest.OrphanDependents
	}
	return rest.DeleteDependents
}

func (s strategy) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	if s.kind.Status && !s.kind.NewHasStatus {
		s.layout.clearStatus(obj)
	}
	if s.kind.Generation {
		if m, err := meta.Accessor(obj); err == nil {
			m.SetGeneration(1)
		}
	}
	s.drop(obj)
	if s.kind.PrepareForCreate != nil {
		s.kind.PrepareForCreate(obj)
	}
	if s.kind.StampNew != nil {
		s.kind.StampNew(obj, time.Now())
	}
	if s.kind.SetRequester != nil {
		s.kind.SetRequester(obj, requester(ctx))
	}
}

func (s strategy) drop(obj runtime.Object) {
	if s.kind.Drop != nil {
		s.kind.Drop(obj)
	}
}

func requester(ctx context.Context) kind.Requester {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return kind.Requester{}
	}
	return kind.Requester{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups(), Extra: u.GetExtra()}
}

func (s strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	if s.kind.Status {
		s.layout.keepStatus(obj, old)
	}
	wrote := s.kind.CountsDropped && !s.layout.sameContent(obj, old)
	s.drop(obj)
	if s.kind.PrepareForUpdate != nil {
		s.kind.PrepareForUpdate(obj, old)
	}
	if s.kind.StampUpdate != nil {
		s.kind.StampUpdate(obj, old, time.Now())
	}
	if s.kind.Generation && (wrote || !s.layout.sameContent(obj, old)) {
		if m, err := meta.Accessor(obj); err == nil {
			m.SetGeneration(m.GetGeneration() + 1)
		}
	}
}

func (s strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	check := s.kind.ValidateName
	if check == nil {
		check = validation.NameIsDNSSubdomain
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return field.ErrorList{field.InternalError(field.NewPath("metadata"), err)}
	}
	// The library checks metadata of new objects only once a strategy finds nothing wrong: a
	// client is told everything at once.
	errs := validation.ValidateObjectMetaAccessor(m, s.kind.Namespaced, check, field.NewPath("metadata"))
	errs = append(errs, s.finalizers(m)...)
	errs = append(errs, s.kind.ErrorsOnCreate(ctx, obj)...)
	if s.expressions != nil {
		errs = append(errs, s.expressions.errors(s.kind.Expressions(obj), nil)...)
	}
	return errs
}

// finalizers of most kinds are qualified by a domain, or among those that Kubernetes has.
func (s strategy) finalizers(m metav1.Object) field.ErrorList {
	if s.kind.AnyFinalizer {
		return nil
	}
	var errs field.ErrorList
	for i, f := range m.GetFinalizers() {
		switch f {
		case string(corev1.FinalizerKubernetes), metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents:
			continue
		}
		if !strings.Contains(f, "/") {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "finalizers").Index(i), f, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

func (s strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	m, err := meta.Accessor(obj)
	if err != nil {
		return field.ErrorList{field.InternalError(field.NewPath("metadata"), err)}
	}
	errs := append(s.finalizers(m), s.kind.ErrorsOnUpdate(ctx, obj, old)...)
	if s.expressions != nil {
		errs = append(errs, s.expressions.errors(s.kind.Expressions(obj), s.kind.Expressions(old))...)
	}
	return errs
}

func (s strategy) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	var out []string
	for _, f := range []func(runtime.Object) []string{s.kind.WarningsOnCreate, s.kind.Warnings} {
		if f != nil {
			out = append(out, f(obj)...)
		}
	}
	return out
}

func (s strategy) WarningsOnUpdate(_ context.Context, obj, old runtime.Object) []string {
	var out []string
	if s.kind.Warnings != nil && (!s.kind.WarnsOnChange || !s.layout.sameContent(obj, old)) {
		out = s.kind.Warnings(obj)
	}
	if s.kind.WarningsOnUpdate != nil {
		out = append(out, s.kind.WarningsOnUpdate(obj, old)...)
	}
	return out
}

// GetResetFields names what an apply to this endpoint never owns.
func (s strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	paths := slices.Clone(s.kind.Resets)
	if s.kind.Status {
		paths = append(paths, "status")
	}
	if len(paths) == 0 {
		return nil
	}
	return s.resetFields(paths...)
}

func (s strategy) resetFields(paths ...string) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet()
	for _, p := range paths {
		var path fieldpath.Path
		for name := range strings.SplitSeq(p, ".") {
			path = append(path, fieldpath.PathElement{FieldName: &name})
		}
		set.Insert(path)
	}
	out := map[fieldpath.APIVersion]*fieldpath.Set{}
	for _, gvk := range servedKinds(*s.kind) {
		out[fieldpath.APIVersion(gvk.GroupVersion().String())] = set
	}
	return out
}

// gracefulStrategy adds deletion with a grace period.
type gracefulStrategy struct{ strategy }

var _ rest.RESTGracefulDeleteStrategy = gracefulStrategy{}

func (s gracefulStrategy) CheckGracefulDelete(_ context.Context, obj runtime.Object, o *metav1.DeleteOptions) bool {
	seconds, ok := s.kind.GracePeriod(obj, o.GracePeriodSeconds)
	if ok {
		o.GracePeriodSeconds = &seconds
	}
	return ok
}

// statusStrategy is the rule of writes to the status subresource.
type statusStrategy struct{ strategy }

func (s statusStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (s statusStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	s.layout.keepAllButStatus(obj, old)
	keepMetadata(s.kind.StatusKeeps, obj, old)
	if s.kind.PrepareForStatusUpdate != nil {
		s.kind.PrepareForStatusUpdate(obj, old)
	}
	s.stamp(obj, old)
}

// stamp sets the times that the writer left out.
func (s strategy) stamp(obj, old runtime.Object) {
	if s.kind.Stamp != nil {
		s.kind.Stamp(obj, old, time.Now())
	}
}

// keepMetadata takes a part of metadata from old.
func keepMetadata(part kind.Metadata, obj, old runtime.Object) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	was, err := meta.Accessor(old)
	if err != nil {
		return
	}
	switch part {
	case kind.AllMetadata:
		metav1.ResetObjectMetaForStatus(m, was)
	case kind.Labels:
		m.SetLabels(was.GetLabels())
	case kind.OwnerReferences:
		m.SetOwnerReferences(was.GetOwnerReferences())
	}
}

func (s statusStrategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	var errs field.ErrorList
	if m, err := meta.Accessor(obj); err == nil {
		errs = s.finalizers(m)
	}
	return append(errs, s.kind.ErrorsOnStatusUpdate(ctx, obj, old)...)
}

func (s statusStrategy) WarningsOnUpdate(_ context.Context, obj, _ runtime.Object) []string {
	if s.kind.StatusWarnings == nil {
		return nil
	}
	return s.kind.StatusWarnings(obj)
}

func (s statusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	if s.kind.StatusKeeps == kind.NoMetadata {
		return s.resetFields("spec")
	}
	return s.resetFields("spec", string(s.kind.StatusKeeps))
}
