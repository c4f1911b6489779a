package manifests

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Patch is a JSON patch of an object that is named as kubectl takes it.
type Patch struct{ Resource, Name, JSON string }

// call is where an object has the API server call a Service: the configuration of that
// client, and its JSON pointer.
type call struct {
	config  map[string]any
	pointer string
}

// calls are those of an object.
func calls(o *unstructured.Unstructured) []call {
	var out []call
	switch o.GetKind() {
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		for i, hook := range mapsOf(o.Object, "webhooks") {
			out = append(out, call{mapOf(hook, "clientConfig"), fmt.Sprintf("/webhooks/%d/clientConfig", i)})
		}
	case "CustomResourceDefinition":
		conversion := mapOf(mapOf(mapOf(o.Object, "spec"), "conversion"), "webhook")
		out = append(out, call{mapOf(conversion, "clientConfig"), "/spec/conversion/webhook/clientConfig"})
	case "APIService":
		out = append(out, call{mapOf(o.Object, "spec"), "/spec"})
	}
	var services []call
	for _, c := range out {
		if mapOf(c.config, "service") != nil {
			services = append(services, c)
		}
	}
	return services
}

// Hosts are the names of the Services that the API server calls for these objects.
func Hosts(objects []*unstructured.Unstructured) []string {
	var out []string
	for _, o := range objects {
		for _, c := range calls(o) {
			service := mapOf(c.config, "service")
			out = append(out, fmt.Sprintf("%v.%v.svc", service["name"], service["namespace"]))
		}
	}
	return out
}

// Trust has the API server trust an authority (PEM) where these objects let it call a
// Service. That is what operators do themselves once they run, so it is patches to what was
// applied; a manifest that has an authority of its own is changed instead.
func Trust(objects []*unstructured.Unstructured, authority []byte) ([]Patch, error) {
	bundle := base64.StdEncoding.EncodeToString(authority)
	var out []Patch
	for _, o := range objects {
		var operations []map[string]any
		for _, c := range calls(o) {
			switch {
			case c.config["insecureSkipTLSVerify"] == true:
			case c.config["caBundle"] != nil:
				c.config["caBundle"] = bundle
			default:
				operations = append(operations, map[string]any{"op": "add", "path": c.pointer + "/caBundle", "value": bundle})
			}
		}
		if len(operations) == 0 {
			continue
		}
		text, err := json.Marshal(operations)
		if err != nil {
			return nil, err
		}
		out = append(out, Patch{o.GetKind() + "." + o.GroupVersionKind().Group, o.GetName(), string(text)})
	}
	return out, nil
}
