package registry

import (
	"context"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
)

// Delete deletes an object, with the kind's warning where its dependents stay unasked.
func (s *Store) Delete(ctx context.Context, name string, admit rest.ValidateObjectFunc, o *metav1.DeleteOptions) (runtime.Object, bool, error) {
	s.warnOfOrphans(ctx, o)
	return s.Store.Delete(ctx, name, admit, o)
}

// DeleteCollection deletes all objects that a list would return.
func (s *Store) DeleteCollection(ctx context.Context, admit rest.ValidateObjectFunc, o *metav1.DeleteOptions, list *metainternalversion.ListOptions) (runtime.Object, error) {
	s.warnOfOrphans(ctx, o)
	return s.Store.DeleteCollection(ctx, admit, o, list)
}

func (s *Store) warnOfOrphans(ctx context.Context, o *metav1.DeleteOptions) {
	//nolint:staticcheck // clients of old set OrphanDependents
	if s.kind.OrphanWarning != "" && o != nil && o.PropagationPolicy == nil && o.OrphanDependents == nil {
		warning.AddWarning(ctx, "", s.kind.OrphanWarning)
	}
}
