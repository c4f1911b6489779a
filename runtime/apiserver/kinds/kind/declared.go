package kind

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/operation"
	apivalidate "k8s.io/apimachinery/pkg/api/validate"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Declared is for validation that is generated from the tags of the published
// types. Rules that Kubernetes declares in shadow only (+k8s:alpha) are not
// enforced. off are the feature gates that the type's tags name; none of them is on.
func Declared[T runtime.Object](f func(ctx context.Context, op operation.Operation, path *field.Path, obj, old T) field.ErrorList, off ...string) func(context.Context, operation.Operation, runtime.Object, runtime.Object) field.ErrorList {
	gates := make(map[string]bool, len(off))
	for _, gate := range off {
		gates[gate] = false
	}
	return DeclaredWith(gates, f)
}

// DeclaredWith is Declared for tags that name feature gates some of which are on.
func DeclaredWith[T runtime.Object](gates map[string]bool, f func(ctx context.Context, op operation.Operation, path *field.Path, obj, old T) field.ErrorList) func(context.Context, operation.Operation, runtime.Object, runtime.Object) field.ErrorList {
	return func(ctx context.Context, op operation.Operation, obj, old runtime.Object) field.ErrorList {
		op.Options = gates
		was, _ := old.(T) // the zero T on create
		errs := f(ctx, op, nil, obj.(T), was)
		if len(errs) == 0 {
			return nil
		}
		return apivalidate.FilterEnforcedDeclarativeErrors(ctx, errs, true)
	}
}

// ErrorsOnCreate are what is wrong with a new object, by Validate, ValidateCreate and Declared.
func (k *Kind) ErrorsOnCreate(ctx context.Context, obj runtime.Object) field.ErrorList {
	var errs field.ErrorList
	if k.Validate != nil {
		errs = k.Validate(obj)
	}
	if k.ValidateCreate != nil {
		errs = append(errs, k.ValidateCreate(obj)...)
	}
	if k.Declared != nil {
		errs = append(errs, k.Declared(ctx, operation.Operation{Type: operation.Create}, obj, nil)...)
	}
	if k.Unsupported != nil {
		errs = append(errs, k.Unsupported(obj)...)
	}
	return errs
}

// ErrorsOnUpdate are what is wrong with a write to the object itself.
func (k *Kind) ErrorsOnUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	var errs field.ErrorList
	if k.Validate != nil {
		errs = k.Validate(obj)
	}
	if k.ValidateUpdate != nil {
		errs = append(errs, k.ValidateUpdate(obj, old)...)
	}
	if k.Declared != nil {
		errs = append(errs, k.Declared(ctx, operation.Operation{Type: operation.Update}, obj, old)...)
	}
	return append(errs, k.NewlyUnsupported(obj, old)...)
}

// NewlyUnsupported are the errors of Unsupported that the old object does not have.
func (k *Kind) NewlyUnsupported(obj, old runtime.Object) field.ErrorList {
	if k.Unsupported == nil {
		return nil
	}
	errs := k.Unsupported(obj)
	if len(errs) == 0 {
		return nil
	}
	had := k.Unsupported(old)
	return slices.DeleteFunc(errs, func(e *field.Error) bool {
		return slices.ContainsFunc(had, func(h *field.Error) bool { return h.Error() == e.Error() })
	})
}

// ErrorsOnStatusUpdate are what is wrong with a write to the status subresource,
// which has taken everything else from the old object.
func (k *Kind) ErrorsOnStatusUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	var errs field.ErrorList
	if k.ValidateStatusUpdate != nil {
		errs = k.ValidateStatusUpdate(obj, old)
	}
	if k.Declared != nil {
		op := operation.Operation{Type: operation.Update, Request: operation.Request{Subresources: []string{"status"}}}
		errs = append(errs, k.Declared(ctx, op, obj, old)...)
	}
	return errs
}
