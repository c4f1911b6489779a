package registry

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// NewResize is pods/resize: the resources of a pod's containers, and of the pod as a whole,
// while it runs.
func NewResize(s *Store, sub kind.Subresource) rest.Storage {
	return podPart{newSubresource(s, resizeStrategy{s.strategy, sub}), fieldpath.NewIncludeMatcherFilter(
		fieldpath.MakePrefixMatcherOrDie("spec", "containers", fieldpath.MatchAnyPathElement(), "resources"),
		fieldpath.MakePrefixMatcherOrDie("spec", "containers", fieldpath.MatchAnyPathElement(), "resizePolicy"),
		fieldpath.MakePrefixMatcherOrDie("spec", "initContainers", fieldpath.MatchAnyPathElement(), "resources"),
		fieldpath.MakePrefixMatcherOrDie("spec", "initContainers", fieldpath.MatchAnyPathElement(), "resizePolicy"),
	)}
}

type resizeStrategy struct {
	strategy
	sub kind.Subresource
}

func (s resizeStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (s resizeStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	s.layout.keepStatus(obj, old)
	keepMetadata(kind.AllMetadata, obj, old)
	s.sub.Prepare(obj, old)
	if !s.layout.sameContent(obj, old) {
		obj.(*corev1.Pod).Generation++
	}
}

func (s resizeStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return s.sub.Validate(obj, old)
}

func (s resizeStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// podPart is a subresource of pods whose writers own nothing but a part of the pod. A
// [SubresourceREST] names what is never owned, and a storage may not do both.
type podPart struct {
	part *SubresourceREST
	owns fieldpath.Filter
}

var (
	_ rest.Patcher                   = podPart{}
	_ rest.TableConvertor            = podPart{}
	_ rest.ResetFieldsFilterStrategy = podPart{}
)

// New returns an empty pod.
func (p podPart) New() runtime.Object { return p.part.New() }

// Destroy does nothing: the storage belongs to the pods.
func (p podPart) Destroy() {}

// Get reads the whole pod.
func (p podPart) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	return p.part.Get(ctx, name, o)
}

// Update writes the part.
func (p podPart) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return p.part.Update(ctx, name, info, create, update, force, o)
}

// ConvertToTable prints the whole pod.
func (p podPart) ConvertToTable(ctx context.Context, obj, o runtime.Object) (*metav1.Table, error) {
	return p.part.ConvertToTable(ctx, obj, o)
}

// GetResetFieldsFilter names what an apply to the part can own.
func (p podPart) GetResetFieldsFilter() map[fieldpath.APIVersion]fieldpath.Filter {
	return map[fieldpath.APIVersion]fieldpath.Filter{"v1": p.owns}
}
