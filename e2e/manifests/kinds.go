package manifests

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is a served version of a kind that a CustomResourceDefinition defines.
type Kind struct {
	schema.GroupVersionKind
	Resource   string
	Namespaced bool
	// Stored says that objects are kept as this version: what others have besides is dropped.
	Stored bool
	// Schema is its structural schema.
	Schema map[string]any
	// Columns are the names of what kubectl get prints besides the object's own.
	Columns []string
	// Status says that it has a status by itself, and Replicas is the path of what its scale
	// sets, empty where it has none.
	Status   bool
	Replicas string
}

// Kinds are the versions that a definition has served.
func Kinds(crd *unstructured.Unstructured) []Kind {
	spec := mapOf(crd.Object, "spec")
	var out []Kind
	for _, v := range mapsOf(spec, "versions") {
		if v["served"] != true {
			continue
		}
		names, subresources := mapOf(spec, "names"), mapOf(v, "subresources")
		k := Kind{
			GroupVersionKind: schema.GroupVersionKind{Group: text(spec, "group"), Version: text(v, "name"), Kind: text(names, "kind")},
			Resource:         text(names, "plural"), Namespaced: spec["scope"] == "Namespaced", Stored: v["storage"] == true,
			Schema: mapOf(mapOf(v, "schema"), "openAPIV3Schema"), Status: subresources["status"] != nil,
			Replicas: text(mapOf(subresources, "scale"), "specReplicasPath"),
		}
		for _, column := range mapsOf(v, "additionalPrinterColumns") {
			k.Columns = append(k.Columns, text(column, "name"))
		}
		out = append(out, k)
	}
	return out
}

// Least is the least object of the kind. Where its schema has a spec it has one too, so that
// what has a default in it is seen.
func (k Kind) Least() *unstructured.Unstructured {
	object, _ := Least(k.Schema).(map[string]any)
	if object == nil {
		object = map[string]any{}
	}
	if spec := mapOf(mapOf(k.Schema, "properties"), "spec"); spec["type"] == "object" && object["spec"] == nil {
		object["spec"] = Least(spec)
	}
	delete(object, "status")
	delete(object, "metadata")
	o := &unstructured.Unstructured{Object: object}
	o.SetGroupVersionKind(k.GroupVersionKind)
	o.SetName("least")
	return o
}

func text(o map[string]any, field string) string {
	s, _ := o[field].(string)
	return s
}
