package registry

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
)

// layout is where a kind's Go type holds its top-level fields, found once so that
// requests need no look-up by name.
type layout struct {
	status, spec int // index of the field, or -1
	others       []int
}

func layoutOf(obj runtime.Object) layout {
	t := reflect.TypeOf(obj).Elem()
	l := layout{status: -1, spec: -1}
	for i := range t.NumField() {
		switch t.Field(i).Name {
		case "TypeMeta", "ObjectMeta":
			continue
		case "Status":
			l.status = i
			continue
		case "Spec":
			l.spec = i
		}
		l.others = append(l.others, i)
	}
	return l
}

// clearStatus empties status.
func (l layout) clearStatus(obj runtime.Object) {
	if l.status >= 0 {
		reflect.ValueOf(obj).Elem().Field(l.status).SetZero()
	}
}

// keepStatus takes status from old.
func (l layout) keepStatus(obj, old runtime.Object) {
	if l.status >= 0 {
		reflect.ValueOf(obj).Elem().Field(l.status).Set(reflect.ValueOf(old).Elem().Field(l.status))
	}
}

// keepAllButStatus takes everything but metadata and status from old.
func (l layout) keepAllButStatus(obj, old runtime.Object) {
	for _, i := range l.others {
		reflect.ValueOf(obj).Elem().Field(i).Set(reflect.ValueOf(old).Elem().Field(i))
	}
}

// sameContent reports whether everything but metadata and status is equal.
func (l layout) sameContent(obj, old runtime.Object) bool {
	for _, i := range l.others {
		if !equality.Semantic.DeepEqual(reflect.ValueOf(obj).Elem().Field(i).Interface(), reflect.ValueOf(old).Elem().Field(i).Interface()) {
			return false
		}
	}
	return true
}
