package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// stateVersion is that of the schemas of all resources. In states of version 0 each list
// of addresses was one text, joined by commas.
const stateVersion = 1

// upgraders read states of version 0 that have such texts in the objects at these paths;
// * is every element of a map.
func upgraders(paths ...string) map[int64]resource.StateUpgrader {
	return map[int64]resource.StateUpgrader{0: {StateUpgrader: func(_ context.Context, req resource.UpgradeStateRequest, resp *resource.UpgradeStateResponse) {
		state, err := listsOfTexts(req.RawState.JSON, paths)
		if err != nil {
			resp.Diagnostics.AddError("The state of an earlier version cannot be read", err.Error()+". Nothing was changed; import the resource anew, or go back to the version of the provider that wrote it.")
			return
		}
		resp.DynamicValue = &tfprotov6.DynamicValue{JSON: state}
	}}}
}

// listsOfTexts is a state of version 0 as version 1 has it.
func listsOfTexts(state []byte, paths []string) ([]byte, error) {
	var root map[string]any
	dec := json.NewDecoder(strings.NewReader(string(state)))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		return nil, err
	}
	for _, path := range paths {
		for _, object := range objectsAt(root, strings.Split(path, "/")) {
			for was, is := range map[string]string{"pod_cidr": "pod_cidrs", "service_cidr": "service_cidrs", "node_ip": "node_ips"} {
				if err := listOfText(object, was, is); err != nil {
					return nil, fmt.Errorf("%s: %w", path, err)
				}
			}
		}
	}
	return json.Marshal(root)
}

// objectsAt are the objects at a path, as far as there are any.
func objectsAt(v any, path []string) []map[string]any {
	object, ok := v.(map[string]any)
	switch {
	case !ok:
		return nil
	case len(path) == 0:
		return []map[string]any{object}
	case path[0] != "*":
		return objectsAt(object[path[0]], path[1:])
	}
	var out []map[string]any
	for _, key := range slices.Sorted(maps.Keys(object)) {
		out = append(out, objectsAt(object[key], path[1:])...)
	}
	return out
}

// listOfText moves a text to the attribute that has its parts.
func listOfText(object map[string]any, was, is string) error {
	old, ok := object[was]
	if !ok {
		return nil
	}
	delete(object, was)
	switch text := old.(type) {
	case nil:
		object[is] = nil
	case string:
		object[is] = []string{}
		if text != "" {
			object[is] = strings.Split(text, ",")
		}
	default:
		return fmt.Errorf("%s is %v, which is no text", was, old)
	}
	return nil
}
