package kinds

import (
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The functions here turn a function over a kind's own Go type into one of the
// shapes that a row has, so that rows are written without type assertions. An
// object of another type is a defect of the caller and panics.

func on[T runtime.Object](f func(T)) func(runtime.Object) {
	return func(obj runtime.Object) { f(obj.(T)) }
}

func onUpdate[T runtime.Object](f func(obj, old T)) func(obj, old runtime.Object) {
	return func(obj, old runtime.Object) { f(obj.(T), old.(T)) }
}

func check[T runtime.Object](f func(T) field.ErrorList) func(runtime.Object) field.ErrorList {
	return func(obj runtime.Object) field.ErrorList { return f(obj.(T)) }
}

func checkUpdate[T runtime.Object](f func(obj, old T) field.ErrorList) func(obj, old runtime.Object) field.ErrorList {
	return func(obj, old runtime.Object) field.ErrorList { return f(obj.(T), old.(T)) }
}

func cells[T runtime.Object](f func(T, time.Time) []any) func(runtime.Object, time.Time) []any {
	return func(obj runtime.Object, now time.Time) []any { return f(obj.(T), now) }
}

func selectable[T runtime.Object](f func(T) fields.Set) func(runtime.Object) fields.Set {
	return func(obj runtime.Object) fields.Set { return f(obj.(T)) }
}

func warn[T runtime.Object](f func(T) []string) func(runtime.Object) []string {
	return func(obj runtime.Object) []string { return f(obj.(T)) }
}

func scale[T runtime.Object](get func(T) (spec, status int32), set func(T, int32), selector func(T) string) *Scale {
	return &Scale{
		Replicas:    func(obj runtime.Object) (int32, int32) { return get(obj.(T)) },
		SetReplicas: func(obj runtime.Object, n int32) { set(obj.(T), n) },
		Selector:    func(obj runtime.Object) string { return selector(obj.(T)) },
	}
}

// setDefault gives *p the value v where it is zero.
func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// setDefaultPtr points *p at a copy of v where it is nil.
func setDefaultPtr[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}

// deref returns what p points at, or v where p is nil.
func deref[T any](p *T, v T) T {
	if p == nil {
		return v
	}
	return *p
}
