package admissionregistration

import (
	"fmt"
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
  rules: [{operations: [CREATE], apiGroups: [''], apiVersions: ['*'], resources: ['*', pods/log]}]
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
  reinvocationPolicy: Never
  matchConstraints: {resourceRules: [{operations: ['*'], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "x"}}, {patchType: JSONPatch, jsonPatch: {expression: "y"}}]
`
	sampleBinding = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: b}
spec: {policyName: p, validationActions: [Deny, Audit], paramRef: {name: c, namespace: ns, parameterNotFoundAction: Deny}, matchResources: {namespaceSelector: {matchLabels: {a: b}}}}
`
	sampleMBinding = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: b}
spec: {policyName: p, paramRef: {selector: {matchLabels: {a: b}}, parameterNotFoundAction: Allow}}
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
		c("review", "[v1]", "[v1, V2]", "admissionReviewVersions[1]: Invalid value"),
		c("review twice", "[v1]", "[v1, v1]", "admissionReviewVersions[1]: Invalid value: \"v1\": duplicate version"),
		c("all operations and one", "[CREATE]", "['*', CREATE]", "if '*' is present, must not specify other operations"),
		c("all groups and one", "['']", "['', '*']", "if '*' is present, must not specify other API groups"),
		c("empty version", "apiVersions: ['*']", "apiVersions: ['']", "rules[0].apiVersions[0]: Required value"),
		c("empty resource", "['*', pods/log]", "['']", "rules[0].resources[0]: Required value"),
		c("no resources", "['*', pods/log]", "[]", "rules[0].resources: Required value"),
		c("all resources and one", "['*', pods/log]", "[pods/log, '*', pods]", "if '*' is present, must not specify other resources without subresources"),
		c("all subresources and one", "['*', pods/log]", "[pods/*, pods/log]", "if 'pods/*' is present, must not specify pods/log"),
		c("one of all and one", "['*', pods/log]", "['*/log', pods/log]", "if '*/log' is present, must not specify pods/log"),
		c("everything and one", "['*', pods/log]", "['*/*', pods]", "if '*/*' is present, must not specify other resources"),
		c("everything", "['*', pods/log]", "['*/*']", ""),
		c("no operations", "[CREATE]", "[]", "rules[0].operations: Required value"),
		c("operation", "[CREATE]", "[SING]", "rules[0].operations[0]: Unsupported value"),
		c("no groups", "apiGroups: [''], ", "", "rules[0].apiGroups: Required value"),
		c("all versions and one", "apiVersions: ['*']", "apiVersions: ['*', v1]", "if '*' is present, must not specify other API versions"),
		c("scope", "resources: ['*', pods/log]", "resources: [pods], scope: Planet", "rules[0].scope: Unsupported value"),
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
		c("group", "{apiVersion: v1, kind", "{apiVersion: A/v1, kind", "spec.paramKind.apiVersion: Invalid value: \"A\""),
		c("version", "{apiVersion: v1, kind", "{apiVersion: a/1, kind", "spec.paramKind.apiVersion: Invalid value: \"1\""),
		c("no version", "{apiVersion: v1, kind", "{apiVersion: a/, kind", "version must be specified"),
		c("too many steps", "{apiVersion: v1, kind", "{apiVersion: a/b/v1, kind", "unexpected GroupVersion string: a/b/v1"),
		c("not a kind", "kind: ConfigMap}", "kind: Config.Map}", "may have mixed case, but should otherwise match"),
		c("name of a resource", "resourceRules: [{", "resourceRules: [{resourceNames: [a/b], ", "resourceRules[0].resourceNames[0]: Invalid value"),
		c("name twice", "resourceRules: [{", "resourceRules: [{resourceNames: [a, a], ", "resourceRules[0].resourceNames[1]: Duplicate value"),
		c("blank message", "one line", "' '", "spec.validations[0].message: Invalid value"),
		c("return", "one line", "\"two\\rlines\"", "must not contain line breaks"),
		c("blank message expression", "message: one line", "messageExpression: ' '", "spec.validations[0].messageExpression: Invalid value"),
		c("unauthorized", "reason: Invalid", "reason: Unauthorized", "spec.validations[0].reason: Unsupported value"),
		c("annotation twice", "auditAnnotations: [", "auditAnnotations: [{key: k, valueExpression: '1'}, ", "spec.auditAnnotations[1].key: Duplicate value"),
		c("twenty annotations", "auditAnnotations: [", "auditAnnotations: ["+annotations(19), ""),
		c("twenty-one annotations", "auditAnnotations: [", "auditAnnotations: ["+annotations(20), "must not have more than 20 auditAnnotations"),
		c("long expression", "\"'a'\"", strings.Repeat("a", 5<<10), ""),
		c("too long expression", "\"'a'\"", strings.Repeat("a", 5<<10+1), "must not exceed 5120 bytes in length"),
		c("no match", "  matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}], excludeResourceRules: [{operations: [UPDATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}\n", "", "spec.matchConstraints: Required value"),
		c("no rules", "resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}], ", "", "spec.matchConstraints.resourceRules: Required value"),
		c("rule", "[CREATE]", "[SING]", "spec.matchConstraints.resourceRules[0].operations[0]: Unsupported value"),
		c("excluded rule", "[UPDATE]", "[SING]", "spec.matchConstraints.excludeResourceRules[0].operations[0]: Unsupported value"),
		c("match policy", "matchConstraints: {", "matchConstraints: {matchPolicy: X, ", "spec.matchConstraints.matchPolicy: Unsupported value"),
		c("failure", "  variables", "  failurePolicy: X\n  variables", "spec.failurePolicy: Unsupported value"),
		c("variable", "{name: v, ", "{", "spec.variables[0].name: Required value"),
		c("variable's value", `{name: v, expression: "1"}`, "{name: v}", "spec.variables[0].expression: Required value"),
		c("validation", `{expression: "true", `, "{", "spec.validations[0].expression: Required value"),
		c("message", "one line", "\"two\\nlines\"", "must not contain line breaks"),
		c("reason", "reason: Invalid", "reason: Because", "spec.validations[0].reason: Unsupported value"),
		c("annotation", "{key: k, ", "{", "spec.auditAnnotations[0].key: Invalid value"),
		c("annotation's value", "valueExpression: \"'a'\"", "valueExpression: ' '", "spec.auditAnnotations[0].valueExpression: Required value"),
		c("annotations are enough", "  validations: [{expression: \"true\", message: one line, reason: Invalid}]\n", "", ""),
		kindtest.Change("nothing to check", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy", "", "", "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item"),
		m("fine", "", "", ""),
		m("reinvocation", "Policy: Never", "Policy: X", "spec.reinvocationPolicy: Unsupported value"),
		m("no mutations", `mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "x"}}, {patchType: JSONPatch, jsonPatch: {expression: "y"}}]`, "mutations: []", "mutations must contain at least one item"),
		m("patch", "patchType: JSONPatch", "patchType: Diff", "spec.mutations[1].patchType: Unsupported value"),
		m("no apply", `, applyConfiguration: {expression: "x"}`, "", "must be specified when patchType is ApplyConfiguration"),
		m("empty apply", `expression: "x"`, `expression: " "`, "applyConfiguration.expression: Required value"),
		m("no patch", `, jsonPatch: {expression: "y"}`, "", "must be specified when patchType is JSONPatch"),
		m("empty patch", `expression: "y"`, `expression: " "`, "jsonPatch.expression: Required value"),
		m("nothing is default", "  reinvocationPolicy: Never\n", "", "spec.reinvocationPolicy: Required value"),
		m("both", "{patchType: JSONPatch, ", "{patchType: JSONPatch, applyConfiguration: {expression: z}, ", "spec.mutations[1].applyConfiguration: Invalid value"),
		m("both, the other way", "{patchType: ApplyConfiguration, ", "{patchType: ApplyConfiguration, jsonPatch: {expression: z}, ", "spec.mutations[0].jsonPatch: Invalid value"),
		m("what is deleted", "['*']", "[CREATE, DELETE]", "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\""),
		b("fine", "", "", ""),
		b("long policy", "policyName: p", "policyName: P", "spec.policyName: Invalid value"),
		b("param", "name: c,", "name: a/b,", "spec.paramRef.name: Invalid value"),
		b("nothing is default", ", parameterNotFoundAction: Deny", "", "spec.paramRef.parameterNotFoundAction: Required value"),
		b("an action twice", "[Deny, Audit]", "[Audit, Deny, Audit]", "spec.validationActions[2]: Duplicate value"),
		b("no policy", "policyName: p, ", "", "spec.policyName: Required value"),
		b("no actions", "[Deny, Audit]", "[]", "spec.validationActions: Required value"),
		b("action", "[Deny, Audit]", "[Frown]", "spec.validationActions[0]: Unsupported value"),
		b("deny and warn", "[Deny, Audit]", "[Deny, Warn]", "must not contain both Deny and Warn"),
		b("warn and audit", "[Deny, Audit]", "[Warn, Audit]", ""),
		b("no param", "name: c, namespace: ns, ", "", "one of name or selector must be specified"),
		b("name and selector", "name: c,", "name: c, selector: {},", "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive"),
		b("not found", "Action: Deny", "Action: Shrug", "spec.paramRef.parameterNotFoundAction: Unsupported value"),
		b("match", "{a: b}", "{'/': b}", "spec.matchResources.namespaceSelector"),
		mb("fine", "", "", ""),
		mb("no policy", "policyName: p, ", "", "spec.policyName: Required value"),
		mb("long policy", "policyName: p", "policyName: P", "spec.policyName: Invalid value"),
		mb("what is deleted", "policyName: p,", "policyName: p, matchResources: {resourceRules: [{operations: [DELETE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]},", "spec.matchResources.resourceRules.operations: Unsupported value"),
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

func TestPolicyStatus(t *testing.T) {
	c := func(name, status, want string) kindtest.Case {
		return kindtest.Change(name, samplePolicy, "apiVersion:", "status: {"+status+"}\napiVersion:", want)
	}
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("warning", "typeChecking: {expressionWarnings: [{fieldRef: 'spec.validations[0].expression', warning: w}]}", ""),
		c("no warning", "typeChecking: {expressionWarnings: [{fieldRef: 'spec.a'}]}", "expressionWarnings[0].warning: Required value"),
		c("of no field", "typeChecking: {expressionWarnings: [{warning: w}]}", "expressionWarnings[0].fieldRef: Required value"),
		c("of what is no path", "typeChecking: {expressionWarnings: [{fieldRef: '[', warning: w}]}", "invalid JSONPath"),
		c("condition", "conditions: [{type: A, status: Perhaps, reason: R, lastTransitionTime: '2026-01-01T00:00:00Z'}]", "status.conditions[0].status: Unsupported value"),
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

// annotations are n audit annotations, each before a comma.
func annotations(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{key: k%d, valueExpression: '1'}, ", i)
	}
	return b.String()
}
