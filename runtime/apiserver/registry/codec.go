package registry

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
)

// withoutKinds opens storage whose objects bear no kind: the encoder of an answer sets that
// of the object, and the items of a list have none. Decoding into an object, as reads of
// lists do, leaves it the one that was stored.
type withoutKinds struct{ generic.RESTOptionsGetter }

func (g withoutKinds) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	o, err := g.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil {
		return o, err
	}
	config := *o.StorageConfig
	config.Codec = kindless{config.Codec}
	o.StorageConfig = &config
	return o, nil
}

type kindless struct{ runtime.Codec }

func (c kindless) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, gvk, err := c.Codec.Decode(data, defaults, into)
	if err == nil {
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	return obj, gvk, err
}
