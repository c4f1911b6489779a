package ledger

import (
	"reflect"
	"slices"
	"strings"
)

// Type is a struct of the API, with the fields that its own entry answers for: those of
// inlined structs are answered for by the inlined type.
type Type struct {
	Name   string   // as of [TypeName]
	Fields []string // JSON names, in the order of the type
}

// leaves are structs that are written as one value.
func leaves() []string {
	return []string{
		"api/resource.Quantity", "meta/v1.Time", "meta/v1.MicroTime", "meta/v1.Duration", "util/intstr.IntOrString",
		"runtime.RawExtension", "meta/v1.FieldsV1",
	}
}

// walkTypes returns every struct that is reachable from the roots, each once. It does not go
// below fields that ends says end there.
func walkTypes(ends func(typeName, field string) bool, roots ...reflect.Type) []Type {
	w := walk{ends: ends, seen: map[string]bool{}}
	for _, r := range roots {
		w.visit(r)
	}
	return w.types
}

type walk struct {
	ends  func(typeName, field string) bool
	seen  map[string]bool
	types []Type
}

func (w *walk) visit(t reflect.Type) {
	for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map}, t.Kind()) {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	name := TypeName(t)
	if w.seen[name] || slices.Contains(leaves(), name) {
		return
	}
	w.seen[name] = true
	var fields []string
	at := len(w.types)
	w.types = append(w.types, Type{Name: name})
	for f := range t.Fields() {
		key := jsonName(f)
		if key == "-" {
			continue
		}
		if key != "" {
			fields = append(fields, key)
			if w.ends(name, key) {
				continue
			}
		}
		w.visit(f.Type)
	}
	w.types[at].Fields = fields
}

// jsonName is the name of a field in JSON: empty for a struct that is inlined, "-" for
// what is not written.
func jsonName(f reflect.StructField) string {
	if !f.IsExported() {
		return "-"
	}
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if key == "" && !f.Anonymous {
		return f.Name
	}
	return key
}

// TypeName is a type's group and version (or package, for the machinery's own), and its
// name: "core/v1.PodSpec", "meta/v1.ObjectMeta".
func TypeName(t reflect.Type) string {
	pkg := t.PkgPath()
	for _, prefix := range []string{"k8s.io/apimachinery/pkg/apis/", "k8s.io/apimachinery/pkg/", "k8s.io/api/"} {
		if rest, ok := strings.CutPrefix(pkg, prefix); ok {
			pkg = rest
			break
		}
	}
	return pkg + "." + t.Name()
}
