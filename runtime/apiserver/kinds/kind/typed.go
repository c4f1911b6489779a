package kind

import (
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The functions here turn a function over a kind's own Go type T into one of the
// shapes that a row has, so that rows are written without type assertions. An
// object of another type is a defect of the caller and panics.

// On is for functions that change an object, one after the other.
func On[T runtime.Object](fs ...func(T)) func(runtime.Object) {
	return func(obj runtime.Object) {
		for _, f := range fs {
			f(obj.(T))
		}
	}
}

// OnUpdate is for functions that change an object by what it was.
func OnUpdate[T runtime.Object](f func(obj, old T)) func(obj, old runtime.Object) {
	return func(obj, old runtime.Object) { f(obj.(T), old.(T)) }
}

// Stamp is for functions that set times.
func Stamp[T runtime.Object](f func(obj, old T, now time.Time)) func(obj, old runtime.Object, now time.Time) {
	return func(obj, old runtime.Object, now time.Time) { f(obj.(T), old.(T), now) }
}

// StampNew is for functions that set the times of new objects.
func StampNew[T runtime.Object](f func(obj T, now time.Time)) func(obj runtime.Object, now time.Time) {
	return func(obj runtime.Object, now time.Time) { f(obj.(T), now) }
}

// Check is for validation.
func Check[T runtime.Object](f func(T) field.ErrorList) func(runtime.Object) field.ErrorList {
	return func(obj runtime.Object) field.ErrorList { return f(obj.(T)) }
}

// CheckUpdate is for validation of updates.
func CheckUpdate[T runtime.Object](f func(obj, old T) field.ErrorList) func(obj, old runtime.Object) field.ErrorList {
	return func(obj, old runtime.Object) field.ErrorList { return f(obj.(T), old.(T)) }
}

// RequestedBy is for functions that write who creates an object.
func RequestedBy[T runtime.Object](f func(T, Requester)) func(runtime.Object, Requester) {
	return func(obj runtime.Object, by Requester) { f(obj.(T), by) }
}

// Cells is for the cells of a table's row.
func Cells[T runtime.Object](f func(T, time.Time) []any) func(runtime.Object, time.Time) []any {
	return func(obj runtime.Object, now time.Time) []any { return f(obj.(T), now) }
}

// Fields is for selectable fields.
func Fields[T runtime.Object](f func(T) fields.Set) func(runtime.Object) fields.Set {
	return func(obj runtime.Object) fields.Set { return f(obj.(T)) }
}

// Warnings is for warnings.
func Warnings[T runtime.Object](f func(T) []string) func(runtime.Object) []string {
	return func(obj runtime.Object) []string { return f(obj.(T)) }
}

// UpdateWarnings is for warnings of what an update changes.
func UpdateWarnings[T runtime.Object](f func(obj, old T) []string) func(obj, old runtime.Object) []string {
	return func(obj, old runtime.Object) []string { return f(obj.(T), old.(T)) }
}

// NotYet is for kinds that are kept for their clients and that nothing acts on yet: each
// write is answered with a warning that says so.
func NotYet(text string) func(runtime.Object) []string {
	return func(runtime.Object) []string { return []string{"not supported by this cluster yet: " + text} }
}

// ScaleOf is for the scale subresource: get returns the replicas wanted and there,
// set the wanted ones, selector the pods' label selector.
func ScaleOf[T runtime.Object](get func(T) (spec, status int32), set func(T, int32), selector func(T) string) *Scale {
	return &Scale{
		Replicas:    func(obj runtime.Object) (int32, int32) { return get(obj.(T)) },
		SetReplicas: func(obj runtime.Object, n int32) { set(obj.(T), n) },
		Selector:    func(obj runtime.Object) string { return selector(obj.(T)) },
	}
}

// SetDefault gives *p the value v where it is zero.
func SetDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// SetDefaultPtr points *p at a copy of v where it is nil.
func SetDefaultPtr[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}
