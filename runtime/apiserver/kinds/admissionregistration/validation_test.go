package admissionregistration

import (
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const (
	sampleHook = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: w}
webhooks:
- name: a.example.com
  sideEffects: None
  timeoutSeconds: 30
  admissionReviewVersions: [v1]
  clientConfig: {url: 'https://a/'}
  namespaceSelector: {matchLabels: {a: b}}
  objectSelector: {matchLabels: {c: d}}
  matchConditions: [{name: m, expression: "true"}]
  rules: [{operations: [CREATE], apiGroups: [''], apiVersions: ['*'], resources: ['*', pods]}]
- name: b.example.com
  sideEffects: NoneOnDryRun
  admissionReviewVersions: [v1beta1]
  clientConfig: {service: {name: s, namespace: n, path: /x}}
`
	samplePolicy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: p}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}], excludeResourceRules: [{operations: [UPDATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}
  variables: [{name: v, expression: "1"}]
  validations: [{expression: "true", message: one line, reason: Invalid}]
  auditAnnotations: [{key: k, valueExpression: "'a'"}]
`
	sampleMutating = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: p}
spec:
  matchConstraints: {resourceRules: [{operations: ['*'], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "x"}}, {patchType: JSONPatch, jsonPatch: {expression: "y"}}]
`
	sampleBinding = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: b}
spec: {policyName: p, validationActions: [Deny, Audit], paramRef: {name: c, namespace: ns}, matchResources: {namespaceSelector: {matchLabels: {a: b}}}}
`
	sampleMBinding = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: b}
spec: {policyName: p, paramRef: {selector: {matchLabels: {a: b}}}}
`
)

func TestWebhookValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleHook, from, to, want)
	}
	cases := []kindtest.Case{
		c("fine", "", "", ""),
		c("name", "name: a.example.com", "name: a", "webhooks[0].name: Invalid value"),
		c("twice", "name: b.example.com", "name: a.example.com", "webhooks[1].name: Duplicate value"),
		c("side effects", "sideEffects: None\n", "sideEffects: Some\n", "webhooks[0].sideEffects: Unsupported value"),
		c("no side effects", "  sideEffects: None\n", "", "must specify one of None, NoneOnDryRun"),
		c("time", "timeoutSeconds: 30", "timeoutSeconds: 31", "the timeout value must be between 1 and 30 seconds"),
		c("no time", "timeoutSeconds: 30", "timeoutSeconds: 0", "the timeout value must be between 1 and 30 seconds"),
		c("least time", "timeoutSeconds: 30", "timeoutSeconds: 1", ""),
		c("versions", "[v1]", "[v2]", "must include at least one of v1, v1beta1"),
		c("no versions", "[v1]", "[]", "admissionReviewVersions: Required value"),
		c("failure", "  timeoutSeconds: 30", "  failurePolicy: Cry", "webhooks[0].failurePolicy: Unsupported value"),
		c("match", "  timeoutSeconds: 30", "  matchPolicy: Loose", "webhooks[0].matchPolicy: Unsupported value"),
		c("namespaces", "{a: b}", "{'/': b}", "webhooks[0].namespaceSelector"),
		c("objects", "{c: d}", "{'/': d}", "webhooks[0].objectSelector"),
		c("http", "https://a/", "http://a/", "'https' is the only allowed URL scheme"),
		c("no host", "https://a/", "https:///a", "host must be specified"),
		c("query", "https://a/", "https://a/?b", "are not permitted in the URL"),
		c("user", "https://a/", "https://u@a/", "user information is not permitted in the URL"),
		c("fragment", "https://a/", "https://a/#b", "are not permitted in the URL"),
		c("both", "{url: 'https://a/'}", "{url: 'https://a/', service: {name: s, namespace: n}}", "exactly one of url or service is required"),
		c("neither", "{url: 'https://a/'}", "{}", "exactly one of url or service is required"),
		c("service", "name: s, ", "", "clientConfig.service.name: Required value"),
		c("service namespace", ", namespace: n", "", "clientConfig.service.namespace: Required value"),
		c("service port", "path: /x", "port: 70000", "clientConfig.service.port: Invalid value"),
		c("service path", "path: /x", "path: x", "must start with a '/'"),
		c("no service path", "path: /x", "path: ''", ""),
		c("the root", "path: /x", "path: /", ""),
		c("a longer path", "path: /x", "path: /x/y.z/", ""),
		c("nothing twice", "path: /x", "path: //", "segment[0] may not be empty"),
		c("nothing between", "path: /x", "path: /x//y", "segment[1] may not be empty"),
		c("no name", "path: /x", "path: /x/Y", "segment[1]: a lowercase RFC 1123 subdomain"),
		c("no operations", "[CREATE]", "[]", "rules[0].operations: Required value"),
		c("operation", "[CREATE]", "[SING]", "rules[0].operations[0]: Unsupported value"),
		c("no groups", "apiGroups: [''], ", "", "rules[0].apiGroups: Required value"),
		c("all versions and one", "apiVersions: ['*']", "apiVersions: ['*', v1]", "if '*' is present, must not specify other values"),
		c("scope", "resources: ['*', pods]", "resources: [pods], scope: Planet", "rules[0].scope: Unsupported value"),
		c("no expression", `expression: "true"`, `expression: " "`, "matchConditions[0].expression: Required value"),
		c("condition's name", "{name: m, ", "{", "matchConditions[0].name: Required value"),
		c("condition twice", "matchConditions: [", "matchConditions: [{name: m, expression: a}, ", "matchConditions[1].name: Duplicate value"),
	}
	kindtest.Create(t, Kinds(), cases)
	for i := range cases { // the same rules, and one more
		cases[i].Manifest = strings.Replace(cases[i].Manifest, "Validating", "Mutating", 1)
	}
	m := kindtest.Change("reinvocation", strings.Replace(sampleHook, "Validating", "Mutating", 1), "  timeoutSeconds: 30", "  reinvocationPolicy: Always", "webhooks[0].reinvocationPolicy: Unsupported value")
	kindtest.Create(t, Kinds(), append(cases, m))
}

func TestPolicyValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, samplePolicy, from, to, want)
	}
	m := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleMutating, from, to, want)
	}
	b := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleBinding, from, to, want)
	}
	mb := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleMBinding, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("param version", "apiVersion: v1, kind: ConfigMap", "kind: ConfigMap", "spec.paramKind.apiVersion: Required value"),
		c("param kind", "apiVersion: v1, kind: ConfigMap", "apiVersion: v1", "spec.paramKind.kind: Required value"),
		c("no match", "  matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}], excludeResourceRules: [{operations: [UPDATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}\n", "", "spec.matchConstraints: Required value"),
		c("no rules", "resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}], ", "", "spec.matchConstraints.resourceRules: Required value"),
		c("rule", "[CREATE]", "[SING]", "spec.matchConstraints.resourceRules[0].operations[0]: Unsupported value"),
		c("excluded rule", "[UPDATE]", "[SING]", "spec.matchConstraints.excludeResourceRules[0].operations[0]: Unsupported value"),
		c("match policy", "matchConstraints: {", "matchConstraints: {matchPolicy: X, ", "spec.matchConstraints.matchPolicy: Unsupported value"),
		c("failure", "  variables", "  failurePolicy: X\n  variables", "spec.failurePolicy: Unsupported value"),
		c("variable", "{name: v, ", "{", "spec.variables[0].name: Required value"),
		c("variable's value", `{name: v, expression: "1"}`, "{name: v}", "spec.variables[0].expression: Required value"),
		c("variable twice", "variables: [", "variables: [{name: v, expression: a}, ", "spec.variables[1].name: Duplicate value"),
		c("validation", `{expression: "true", `, "{", "spec.validations[0].expression: Required value"),
		c("message", "one line", "\"two\\nlines\"", "message must not contain line breaks"),
		c("reason", "reason: Invalid", "reason: Because", "spec.validations[0].reason: Unsupported value"),
		c("annotation", "{key: k, ", "{", "spec.auditAnnotations[0].key: Required value"),
		c("annotation's value", "valueExpression: \"'a'\"", "valueExpression: ' '", "spec.auditAnnotations[0].valueExpression: Required value"),
		c("annotations are enough", "  validations: [{expression: \"true\", message: one line, reason: Invalid}]\n", "", ""),
		kindtest.Change("nothing to check", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy", "", "", "validations or auditAnnotations must be specified"),
		m("fine", "", "", ""),
		m("reinvocation", "  mutations", "  reinvocationPolicy: X\n  mutations", "spec.reinvocationPolicy: Unsupported value"),
		m("no mutations", `mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "x"}}, {patchType: JSONPatch, jsonPatch: {expression: "y"}}]`, "mutations: []", "mutations must contain at least one item"),
		m("patch", "patchType: JSONPatch", "patchType: Diff", "spec.mutations[1].patchType: Unsupported value"),
		m("no apply", `, applyConfiguration: {expression: "x"}`, "", "must be specified when patchType is ApplyConfiguration"),
		m("empty apply", `expression: "x"`, `expression: " "`, "applyConfiguration.expression: Required value"),
		m("no patch", `, jsonPatch: {expression: "y"}`, "", "must be specified when patchType is JSONPatch"),
		m("empty patch", `expression: "y"`, `expression: " "`, "jsonPatch.expression: Required value"),
		b("fine", "", "", ""),
		b("no policy", "policyName: p, ", "", "spec.policyName: Required value"),
		b("no actions", "[Deny, Audit]", "[]", "spec.validationActions: Required value"),
		b("action", "[Deny, Audit]", "[Frown]", "spec.validationActions[0]: Unsupported value"),
		b("deny and warn", "[Deny, Audit]", "[Deny, Warn]", "must not contain both Deny and Warn"),
		b("warn and audit", "[Deny, Audit]", "[Warn, Audit]", ""),
		b("no param", "{name: c, namespace: ns}", "{}", "one of name or selector must be specified"),
		b("name and selector", "{name: c, namespace: ns}", "{name: c, selector: {}}", "name and selector are mutually exclusive"),
		b("not found", "{name: c, namespace: ns}", "{name: c, parameterNotFoundAction: Shrug}", "spec.paramRef.parameterNotFoundAction: Unsupported value"),
		b("match", "{a: b}", "{'/': b}", "spec.matchResources.namespaceSelector"),
		mb("fine", "", "", ""),
		mb("no policy", "policyName: p, ", "", "spec.policyName: Required value"),
		mb("selector", "{a: b}", "{'/': b}", "spec.paramRef.selector"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "policy", Manifest: samplePolicy, Want: "p | 1 | v1/ConfigMap | <unknown>"},
		{Name: "mutating policy", Manifest: sampleMutating, Want: "p | 2 | <unset> | <unknown>"},
		{Name: "binding", Manifest: sampleBinding, Want: "b | p | ns/c | <unknown>"},
		{Name: "binding by selector", Manifest: sampleMBinding, Want: "b | p | a=b | <unknown>"},
		{Name: "hooks", Manifest: sampleHook, Want: "w | 2 | <unknown>"},
	})
}

func TestExpressions(t *testing.T) {
	for manifest, want := range map[string][]string{
		sampleHook: {"match condition webhooks[0].matchConditions[0].expression true"},
		samplePolicy: {
			"variable spec.variables[0].expression 1", "validation spec.validations[0].expression true",
			"audit annotation spec.auditAnnotations[0].valueExpression 'a'",
		},
		strings.Replace(samplePolicy, "message: one line", `messageExpression: "'m'"`, 1): {
			"variable spec.variables[0].expression 1", "validation spec.validations[0].expression true", "message spec.validations[0].messageExpression 'm'",
			"audit annotation spec.auditAnnotations[0].valueExpression 'a'",
		},
		// What is refused for another reason is not compiled.
		strings.Replace(samplePolicy, "name: v,", "name: in,", 1): {
			"validation spec.validations[0].expression true", "audit annotation spec.auditAnnotations[0].valueExpression 'a'",
		},
		sampleMutating: {"apply configuration spec.mutations[0].applyConfiguration.expression x", "JSON patch spec.mutations[1].jsonPatch.expression y"},
	} {
		k, obj := kindtest.Row(t, Kinds(), manifest)
		var got []string
		for _, x := range k.Expressions(obj) {
			got = append(got, string(x.Sort)+" "+x.Path.String()+" "+x.Text)
			if x.Params != strings.Contains(manifest, "paramKind") || (x.Name == "v") != (x.Sort == kind.VariableExpression) {
				t.Errorf("%+v", x)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "_": true, "aB_9": true, "Z": true, "": false, "9a": false, "a-b": false, "a.b": false, "é": false,
		"in": false, "true": false, "namespace": false, "var": false, "inn": true,
	} {
		if got := identifier(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
