package manifests_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/e2e/manifests"
)

const operator = `
# A comment alone is a document without an object.
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: hooks, namespace: ops}
  spec:
    selector: {app: operator}
    ports: [{port: 443, targetPort: 9443}, {port: 80, targetPort: http}, {port: 9090}, {port: 53, protocol: UDP}]
- apiVersion: v1
  kind: Service
  metadata: {name: others, namespace: ops}
  spec: {selector: {app: other}, ports: [{port: 7777}]}
- apiVersion: v1
  kind: Service
  metadata: {name: hooks, namespace: elsewhere}
  spec: {selector: {app: operator}, ports: [{port: 6666}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: operator, namespace: ops}
spec:
  replicas: 1
  template:
    metadata: {labels: {app: operator, tier: one}}
    spec:
      initContainers:
      - {name: setup, image: not.to/be:had, command: [setup], args: [-v]}
      - {name: sidecar, image: not.to/be:had, restartPolicy: Always, ports: [{containerPort: 15000}]}
      containers:
      - name: manager
        image: not.to/be:had
        imagePullPolicy: Always
        args: [--leader-elect]
        env: [{name: A, value: b}]
        ports: [{name: http, containerPort: 8080}, {containerPort: 5353, protocol: UDP}]
        readinessProbe: {httpGet: {path: /readyz, port: 8081}}
        livenessProbe: {exec: {command: [manager, alive]}}
        lifecycle: {preStop: {exec: {command: [manager, stop]}}}
      - {name: proxy, image: not.to/be:had, ports: [{containerPort: 9090}, {containerPort: 8080}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: sweep, namespace: ops}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: not.to/be:had, args: [sweep]}]}}}}}
`

func read(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifests.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestStandIn(t *testing.T) {
	objects := read(t, operator)
	if len(objects) != 5 {
		t.Fatalf("%d objects are read, want those of the list, the Deployment and the CronJob", len(objects))
	}
	program := manifests.Program{Image: "standin:1", Path: "/standin", Identity: "PEM"}
	program.StandIn(objects)
	identity := `"env":[{"name":"IDENTITY","value":"PEM"}]`
	for _, c := range []struct {
		of    int
		field string
		want  string
	}{
		{3, "initContainers", `[{"args":["true"],"command":["/standin"],"image":"standin:1","name":"setup"},` +
			`{"args":["serve","15000"],"command":["/standin"],` + identity + `,"image":"standin:1","name":"sidecar","ports":[{"containerPort":15000}],"restartPolicy":"Always"}]`},
		{3, "containers", `[{"args":["serve","8080","8081","9443"],"command":["/standin"],"env":[{"name":"A","value":"b"},{"name":"IDENTITY","value":"PEM"}],"image":"standin:1",` +
			`"lifecycle":{"preStop":{"exec":{"command":["/standin","true"]}}},"livenessProbe":{"exec":{"command":["/standin","true"]}},` +
			`"name":"manager","ports":[{"containerPort":8080,"name":"http"},{"containerPort":5353,"protocol":"UDP"}],"readinessProbe":{"httpGet":{"path":"/readyz","port":8081}}},` +
			`{"args":["serve","9090"],"command":["/standin"],` + identity + `,"image":"standin:1","name":"proxy","ports":[{"containerPort":9090},{"containerPort":8080}]}]`},
		{4, "containers", `[{"args":["true"],"command":["/standin"],"image":"standin:1","name":"c"}]`},
	} {
		path := []string{"spec", "template", "spec", c.field}
		if objects[c.of].GetKind() == "CronJob" {
			path = append([]string{"spec", "jobTemplate"}, path...)
		}
		list, _, err := unstructured.NestedSlice(objects[c.of].Object, path...)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(list); string(got) != c.want {
			t.Errorf("%s of the %s:\n got %s\nwant %s", c.field, objects[c.of].GetKind(), got, c.want)
		}
	}
	text, err := manifests.Write(objects)
	if err != nil {
		t.Fatal(err)
	}
	if again := read(t, string(text)); len(again) != len(objects) || strings.Contains(string(text), "not.to/be") {
		t.Errorf("what is written has %d objects, and an image of its own:\n%s", len(again), text)
	}
}

func TestTrust(t *testing.T) {
	objects := read(t, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: v}
webhooks:
- {name: a, clientConfig: {url: "https://a.example"}}
- {name: b, clientConfig: {service: {name: hooks, namespace: ops}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: c}
spec: {conversion: {strategy: Webhook, webhook: {clientConfig: {caBundle: Cg==, service: {name: convert, namespace: ops}}}}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: trusting}
spec: {insecureSkipTLSVerify: true, service: {name: api, namespace: ops}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: careful}
spec: {service: {name: api, namespace: other}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: local}
spec: {group: ""}
`)
	if got, want := manifests.Hosts(objects), []string{"hooks.ops.svc", "convert.ops.svc", "api.ops.svc", "api.other.svc"}; !slices.Equal(got, want) {
		t.Errorf("called are %q, want %q", got, want)
	}
	got, err := manifests.Trust(objects, []byte("CA"))
	if err != nil {
		t.Fatal(err)
	}
	want := []manifests.Patch{
		{"ValidatingWebhookConfiguration.admissionregistration.k8s.io", "v", `[{"op":"add","path":"/webhooks/1/clientConfig/caBundle","value":"Q0E="}]`},
		{"APIService.apiregistration.k8s.io", "careful", `[{"op":"add","path":"/spec/caBundle","value":"Q0E="}]`},
	}
	if !slices.Equal(got, want) {
		t.Errorf("patches are\n%v, want\n%v", got, want)
	}
	if own, _, _ := unstructured.NestedString(objects[1].Object, "spec", "conversion", "webhook", "clientConfig", "caBundle"); own != "Q0E=" {
		t.Errorf("the manifest's own authority is %q", own)
	}
}

// Each least value is valid by its schema, as the API server validates, and would not be
// with a field fewer.
func TestLeast(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{"nothing required", `{type: object, properties: {a: {type: string}}}`, `{}`},
		{"nested", `{type: object, required: [a], properties: {b: {type: string}, a: {type: object, required: [k], properties: {k: {type: integer, minimum: 3}}}}}`, `{"a":{"k":3}}`},
		{"default", `{type: object, required: [a], properties: {a: {type: string, default: d}}}`, `{"a":"d"}`},
		{"enum", `{type: object, required: [a], properties: {a: {type: string, enum: [Always, Never]}}}`, `{"a":"Always"}`},
		{"pattern", `{type: object, required: [a, b], properties: {a: {type: string, pattern: '^\d+[hms]$'}, b: {type: string, pattern: '^[a-z]+$', minLength: 3, maxLength: 3}}}`, `{"a":"1s","b":"xxx"}`},
		{"format", `{type: object, required: [a], properties: {a: {type: string, format: date-time}}}`, `{"a":"2026-01-02T03:04:05Z"}`},
		{"fewest items", `{type: array, minItems: 2, items: {type: boolean}}`, `[false,false]`},
		{"fewest properties", `{type: object, minProperties: 1, properties: {b: {type: number}, c: {type: string}}}`, `{"b":1}`},
		{"fewest entries", `{type: object, minProperties: 1, additionalProperties: {type: string}}`, `{"x":"x"}`},
		{"a required entry", `{type: object, required: [k], additionalProperties: {type: integer}}`, `{"k":1}`},
		{"alternatives", `{type: object, properties: {a: {type: string}, b: {type: string}}, oneOf: [{required: [a]}, {required: [b]}], allOf: [{required: [c]}]}`, `{"a":"x","c":{}}`},
		{"int or string", `{type: object, required: [a], properties: {a: {x-kubernetes-int-or-string: true}}}`, `{"a":"1"}`},
		{"a minimum between", `{type: object, required: [a], properties: {a: {type: number, minimum: 1.5}}}`, `{"a":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var props apiextensionsv1.JSONSchemaProps
			if err := yaml.Unmarshal([]byte(c.schema), &props); err != nil {
				t.Fatal(err)
			}
			value := manifests.Least(schema(t, c.schema))
			if got, _ := json.Marshal(value); string(got) != c.want {
				t.Fatalf("it is %s, want %s", got, c.want)
			}
			var internal apiextensions.JSONSchemaProps
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&props, &internal, nil); err != nil {
				t.Fatal(err)
			}
			validator, _, err := validation.NewSchemaValidator(&internal)
			if err != nil {
				t.Fatal(err)
			}
			if errs := validation.ValidateCustomResource(nil, value, validator); len(errs) > 0 {
				t.Error(errs)
			}
			object, _ := value.(map[string]any)
			for name := range object {
				less := map[string]any{}
				for other, v := range object {
					if other != name {
						less[other] = v
					}
				}
				if len(validation.ValidateCustomResource(nil, less, validator)) == 0 {
					t.Errorf("it is valid without %s too", name)
				}
			}
		})
	}
}

func TestKinds(t *testing.T) {
	kinds := manifests.Kinds(read(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: xs.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: xs, kind: X}
  versions:
  - {name: v1alpha1, served: false}
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.n}}
    additionalPrinterColumns: [{name: Size}, {name: Age}]
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {k: {type: string, default: d}}}, status: {type: object}}}}
  - {name: v1beta1, served: true, schema: {openAPIV3Schema: {type: object, required: [spec, status], properties: {spec: {type: string}, status: {type: string}}}}}
`)[0])
	if len(kinds) != 2 {
		t.Fatalf("%d versions, want the two that are served", len(kinds))
	}
	for i, want := range []string{
		`example.org/v1, Kind=X xs namespaced=true stored=true status=true replicas=.spec.n columns=[Size Age] least={"apiVersion":"example.org/v1","kind":"X","metadata":{"name":"least"},"spec":{}}`,
		`example.org/v1beta1, Kind=X xs namespaced=true stored=false status=false replicas= columns=[] least={"apiVersion":"example.org/v1beta1","kind":"X","metadata":{"name":"least"},"spec":"x"}`,
	} {
		k := kinds[i]
		least, err := json.Marshal(k.Least().Object)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s %s namespaced=%v stored=%v status=%v replicas=%s columns=%v least=%s", k.GroupVersionKind, k.Resource, k.Namespaced, k.Stored, k.Status, k.Replicas, k.Columns, least); got != want {
			t.Errorf("it is\n%s, want\n%s", got, want)
		}
	}
}

func TestUndefaulted(t *testing.T) {
	s := schema(t, `
type: object
properties:
  a: {type: string, default: x}
  b: {type: object, properties: {c: {type: integer, default: 1}}}
  m: {type: object, additionalProperties: {type: object, properties: {d: {type: string, default: y}}}}
  l: {type: array, items: {type: object, properties: {e: {type: string, default: z}}}}
`)
	for _, c := range []struct{ value, want string }{
		{`{}`, ".a"},
		{`{a: ""}`, ""},
		{`{a: x, b: {}}`, ".b.c"},
		{`{a: x, b: {c: 0}, m: {k: {}, j: {d: w}}}`, ".m.k.d"},
		{`{a: x, l: [{e: w}, {}]}`, ".l[].e"},
	} {
		if got := strings.Join(manifests.Undefaulted(s, schema(t, c.value)), " "); got != c.want {
			t.Errorf("of %s %q are missing, want %q", c.value, got, c.want)
		}
	}
}

// schema reads a schema, or a value, with whole numbers as the API has them.
func schema(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{Object: map[string]any{}}
	wrapped := append([]byte(`{"apiVersion":"v1","kind":"X","schema":`), append(data, '}')...)
	if err := o.UnmarshalJSON(wrapped); err != nil {
		t.Fatal(err)
	}
	return o.Object["schema"].(map[string]any)
}
