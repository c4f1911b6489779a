package validate

import (
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TemplateMeta checks the metadata of a template of objects, which has labels and annotations
// only: the rest is for who makes objects of it.
func TemplateMeta(m *metav1.ObjectMeta, path *field.Path) field.ErrorList {
	errs := Annotations(m.Annotations, path.Child("annotations"))
	errs = append(errs, Labels(m.Labels, path.Child("labels"))...)
	return append(errs, OnlySet(*m, path, "cannot be set", "labels", "annotations")...)
}

// OnlySet refuses the fields of a struct that are set and not allowed. An empty list is set:
// the client wrote it.
func OnlySet(v any, path *field.Path, reason string, allowed ...string) field.ErrorList {
	ok := map[string]bool{}
	for _, name := range allowed {
		ok[name] = true
	}
	var errs field.ErrorList
	value := reflect.ValueOf(v)
	for i := range value.NumField() {
		if name := jsonName(value.Type().Field(i)); !ok[name] && !value.Field(i).IsZero() {
			errs = append(errs, field.Forbidden(path.Child(name), reason))
		}
	}
	return errs
}

// jsonName is how clients call a field.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
