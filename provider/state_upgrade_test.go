package provider

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// testdata/state-v0.json are the attributes of each resource as 0.1.0 wrote them before
// addresses were lists.
func statesOfVersion0(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	data, err := os.ReadFile("testdata/state-v0.json")
	if err != nil {
		t.Fatal(err)
	}
	var states map[string]json.RawMessage
	if err := json.Unmarshal(data, &states); err != nil {
		t.Fatal(err)
	}
	return states
}

// What was one text is a list of its parts, and all else is as it was: so nothing is
// planned over a state of the earlier version.
func TestStatesOfVersion0AreRead(t *testing.T) {
	server, err := providerserver.NewProtocol6WithError(New("test")())()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	states := statesOfVersion0(t)
	if len(states) != len(schemas.ResourceSchemas) {
		t.Errorf("%d resources have a state, there are %d", len(states), len(schemas.ResourceSchemas))
	}
	for name, state := range states {
		resp, err := server.UpgradeResourceState(t.Context(), &tfprotov6.UpgradeResourceStateRequest{TypeName: name, RawState: &tfprotov6.RawState{JSON: state}})
		if err != nil || len(resp.Diagnostics) > 0 {
			t.Fatalf("%s: %v, %v", name, err, resp.Diagnostics)
		}
		kind := schemas.ResourceSchemas[name].ValueType()
		got, err := resp.UpgradedState.Unmarshal(kind)
		if err != nil {
			t.Fatal(err)
		}
		want, err := (&tfprotov6.RawState{JSON: []byte(asLists.Replace(compact(t, state)))}).Unmarshal(kind)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(want) {
			t.Errorf("%s is read as\n%s\nwant\n%s", name, got, want)
		}
	}
}

// asLists has every text of testdata/state-v0.json in its place. The label of that name
// is no address.
var asLists = strings.NewReplacer(
	`"pod_cidr":"10.100.0.0/16"`, `"pod_cidrs":["10.100.0.0/16"]`, `"service_cidr":"10.96.0.0/16"`, `"service_cidrs":["10.96.0.0/16"]`,
	`"node_ip":"192.0.2.1"`, `"node_ips":["192.0.2.1"]`, `"node_ip":"192.0.2.3"`, `"node_ips":["192.0.2.3"]`, `"node_ip":null`, `"node_ips":null`,
)

func compact(t *testing.T, state []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(state, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestListsOfTexts(t *testing.T) {
	for state, want := range map[string]string{
		`{}`:                        `{}`,
		`{"a":null,"pod_cidr":"x"}`: `{"a":null,"pod_cidr":"x"}`, // at no path
		`{"a":{"pod_cidr":"10.0.0.0/8,fd00::/48","n":1.0}}`: `{"a":{"pod_cidrs":["10.0.0.0/8","fd00::/48"],"n":1.0}}`,
		`{"a":{"node_ip":"","service_cidr":null}}`:          `{"a":{"node_ips":[],"service_cidrs":null}}`,
		`{"a":{"m":{"x":{"node_ip":"1"},"y":null,"z":{}}}}`: `{"a":{"m":{"x":{"node_ips":["1"]},"y":null,"z":{}}}}`,
	} {
		got, err := listsOfTexts([]byte(state), []string{"a", "a/m/*"})
		if err != nil {
			t.Errorf("%s: %v", state, err)
			continue
		}
		if compact(t, got) != compact(t, []byte(want)) {
			t.Errorf("%s is read as %s, want %s", state, got, want)
		}
	}
	for state, want := range map[string]string{`{"a":{"pod_cidr":["x"]}}`: "a: pod_cidr is [x], which is no text", `[]`: "cannot unmarshal array"} {
		if got, err := listsOfTexts([]byte(state), []string{"a"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", state, got, err)
		}
	}
	// A number that no float holds stays what it is.
	var v map[string]json.Number
	got, err := listsOfTexts([]byte(`{"n":9007199254740993}`), nil)
	if err == nil {
		err = json.Unmarshal(got, &v)
	}
	if want := map[string]json.Number{"n": "9007199254740993"}; err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%s, %v", got, err)
	}
}
