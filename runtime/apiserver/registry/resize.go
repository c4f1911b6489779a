package registry

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// NewResize is pods/resize: the resources of a pod's containers, and of the pod as a whole,
// while it runs. As with upstream its writers own what they write, also what is then left as
// it was.
func NewResize(s *Store, sub kind.Subresource) rest.Storage {
	return newSubresource(s, resizeStrategy{s.strategy, sub})
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
	s.drop(obj)
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

// GetResetFields names nothing.
func (s resizeStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set { return nil }
