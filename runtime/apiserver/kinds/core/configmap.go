package core

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func configMap() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("ConfigMap"),
		Resource:   "configmaps",
		ShortNames: []string{"cm"},
		Namespaced: true,
		Validate:   kind.Check(validateConfigMap),
		ValidateUpdate: kind.CheckUpdate(func(c, old *corev1.ConfigMap) field.ErrorList {
			if !ptr.Deref(old.Immutable, false) {
				return nil
			}
			errs := stillImmutable(c.Immutable)
			errs = append(errs, unchanged(c.Data, old.Data, "data")...)
			return append(errs, unchanged(c.BinaryData, old.BinaryData, "binaryData")...)
		}),
		Columns: printers.Columns("Name", "Data", "Age"),
		Cells: kind.Cells(func(c *corev1.ConfigMap, now time.Time) []any {
			return []any{c.Name, int64(len(c.Data) + len(c.BinaryData)), printers.Age(c.ObjectMeta, now)}
		}),
	}
}

func validateConfigMap(c *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	total := 0
	for _, k := range slices.Sorted(maps.Keys(c.Data)) {
		errs = append(errs, configKey(k, field.NewPath("data"))...)
		if _, twice := c.BinaryData[k]; twice {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(k), k, "duplicate of key present in binaryData"))
		}
		total += len(c.Data[k])
	}
	for _, k := range slices.Sorted(maps.Keys(c.BinaryData)) {
		errs = append(errs, configKey(k, field.NewPath("binaryData"))...)
		total += len(c.BinaryData[k])
	}
	// The size is of all keys together, so there is no one field to blame.
	return append(errs, validate.TooLong(total, corev1.MaxSecretSize, field.NewPath(""))...)
}

func stillImmutable(now *bool) field.ErrorList {
	if !ptr.Deref(now, false) {
		return field.ErrorList{field.Forbidden(field.NewPath("immutable"), "field is immutable when `immutable` is set")}
	}
	return nil
}

func unchanged(now, old any, name string) field.ErrorList {
	if equality.Semantic.DeepEqual(now, old) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath(name), "field is immutable when `immutable` is set")}
}

// configKey checks a key of a ConfigMap or Secret.
func configKey(key string, at *field.Path) field.ErrorList {
	return validate.InvalidIf(validation.IsConfigMapKey(key), at.Key(key), key)
}
