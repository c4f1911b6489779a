package registry

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
)

// parts is where a kind's Go type holds its top-level fields, found once so that
// requests need no look-up by name.
type parts struct {
	status, spec int // index of the field, or -1
	others       []int
}

func partsOf(obj runtime.Object) parts {
	t := reflect.TypeOf(obj).Elem()
	p := parts{status: -1, spec: -1}
	for i := range t.NumField() {
		switch t.Field(i).Name {
		case "TypeMeta", "ObjectMeta":
			continue
		case "Status":
			p.status = i
			continue
		case "Spec":
			p.spec = i
		}
		p.others = append(p.others, i)
	}
	return p
}

// clearStatus empties status.
func (p parts) clearStatus(obj runtime.Object) {
	if p.status >= 0 {
		reflect.ValueOf(obj).Elem().Field(p.status).SetZero()
	}
}

// keepStatus takes status from old.
func (p parts) keepStatus(obj, old runtime.Object) {
	if p.status >= 0 {
		reflect.ValueOf(obj).Elem().Field(p.status).Set(reflect.ValueOf(old).Elem().Field(p.status))
	}
}

// keepAllButStatus takes everything but metadata and status from old.
func (p parts) keepAllButStatus(obj, old runtime.Object) {
	for _, i := range p.others {
		reflect.ValueOf(obj).Elem().Field(i).Set(reflect.ValueOf(old).Elem().Field(i))
	}
}

// sameContent reports whether everything but metadata and status is equal.
func (p parts) sameContent(obj, old runtime.Object) bool {
	for _, i := range p.others {
		if !equality.Semantic.DeepEqual(reflect.ValueOf(obj).Elem().Field(i).Interface(), reflect.ValueOf(old).Elem().Field(i).Interface()) {
			return false
		}
	}
	return true
}
