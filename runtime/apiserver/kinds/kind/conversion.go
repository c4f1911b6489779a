package kind

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Version is another version of a kind's group in which its objects are served.
type Version struct {
	Name string // "v1"
	// Default is that of the version; the stored version's follows it, after
	// conversion.
	Default func(obj runtime.Object)
	Conversion
}

// Alias says that a kind is another group's view of objects of a second kind: there
// is one storage for both. The rules of the row are for writes in its own group.
type Alias struct {
	Of schema.GroupVersionKind
	// Fields are the fields that may be selected in the row's group, and what the stored
	// kind calls them. Nil is those of the stored kind, by its names.
	Fields map[string]string
	Conversion
}

// Conversion turns an object into the Go type that is stored, and back. What one
// type cannot say has to survive the way there and back (in annotations, say). In
// may not be changed, and out may share memory with it.
type Conversion struct {
	ToStored   func(in, out runtime.Object) error
	FromStored func(in, out runtime.Object) error
}

// Convert is a [Conversion] between the served Go type V and the stored one, S.
func Convert[V, S runtime.Object](to func(in V, out S) error, from func(in S, out V) error) Conversion {
	return Conversion{
		ToStored:   func(in, out runtime.Object) error { return to(in.(V), out.(S)) },
		FromStored: func(in, out runtime.Object) error { return from(in.(S), out.(V)) },
	}
}
