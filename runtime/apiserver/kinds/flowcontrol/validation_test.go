package flowcontrol

import (
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleSchema = `
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: f}
spec:
  matchingPrecedence: 5
  priorityLevelConfiguration: {name: p}
  distinguisherMethod: {type: ByUser}
  rules:
  - subjects: [{kind: User, user: {name: u}}, {kind: Group, group: {name: g}}, {kind: ServiceAccount, serviceAccount: {name: s, namespace: n}}]
    resourceRules: [{verbs: [get], apiGroups: [''], resources: [pods], namespaces: [a]}]
    nonResourceRules: [{verbs: [get], nonResourceURLs: [/x]}]
`

const sampleLevel = `
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: p}
spec: {type: Limited, limited: {nominalConcurrencyShares: 1, lendablePercent: 100, borrowingLimitPercent: 0, limitResponse: {type: Queue, queuing: {queues: 8, handSize: 8, queueLengthLimit: 1}}}}
`

func TestValidation(t *testing.T) {
	f := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleSchema, from, to, want)
	}
	p := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleLevel, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		f("fine", "", "", ""),
		f("precedence", "matchingPrecedence: 5", "matchingPrecedence: 10001", "must be in the range 1-10000"),
		f("last", "matchingPrecedence: 5", "matchingPrecedence: 10000", ""),
		f("negative", "matchingPrecedence: 5", "matchingPrecedence: -1", "must be in the range 1-10000"),
		f("level", "{name: p}", "{name: P_}", "spec.priorityLevelConfiguration.name: Invalid value"),
		f("method", "ByUser", "ByMood", "spec.distinguisherMethod.type: Unsupported value"),
		f("no subjects", "subjects: [{kind: User, user: {name: u}}, {kind: Group, group: {name: g}}, {kind: ServiceAccount, serviceAccount: {name: s, namespace: n}}]", "subjects: []", "subjects must contain at least one value"),
		f("no rules", "    resourceRules: [{verbs: [get], apiGroups: [''], resources: [pods], namespaces: [a]}]\n    nonResourceRules: [{verbs: [get], nonResourceURLs: [/x]}]\n", "", "at least one of resourceRules and nonResourceRules has to be non-empty"),
		f("no verbs", "{verbs: [get], apiGroups", "{apiGroups", "resourceRules[0].verbs: Required value"),
		f("no groups", "apiGroups: [''], ", "", "resourceRules[0].apiGroups: Required value"),
		f("no namespaces", ", namespaces: [a]", "", "must supply at least one namespace"),
		f("cluster", "namespaces: [a]", "clusterScope: true", ""),
		f("no paths", ", nonResourceURLs: [/x]", "", "nonResourceURLs must contain at least one value"),
		f("no user", "{kind: User, user: {name: u}}", "{kind: User}", "user is required when subject kind is 'User'"),
		f("nameless user", "{name: u}", "{}", "user.name: Required value"),
		f("no group", "{kind: Group, group: {name: g}}", "{kind: Group}", "group is required when subject kind is 'Group'"),
		f("nameless group", "{name: g}", "{}", "group.name: Required value"),
		f("no account", "serviceAccount: {name: s, namespace: n}", "user: {name: u}", "serviceAccount is required when subject kind is 'ServiceAccount'"),
		f("account's namespace", "{name: s, namespace: n}", "{name: s}", "serviceAccount.namespace: Required value"),
		f("account's name", "{name: s, namespace: n}", "{namespace: n}", "serviceAccount.name: Required value"),
		f("who", "kind: User, user", "kind: Cat, user", "subjects[0].kind: Unsupported value"),
		f("someone else too", "user: {name: u}", "user: {name: u}, group: {name: g}", "subjects[0].group: Forbidden"),
		f("any account", "{name: s, namespace: n}", "{name: '*', namespace: n}", ""),
		f("account", "{name: s, namespace: n}", "{name: S_, namespace: n}", "serviceAccount.name: Invalid value"),
		f("namespace", "{name: s, namespace: n}", "{name: s, namespace: N_}", "serviceAccount.namespace: Invalid value"),
		f("verb", "verbs: [get], apiGroups", "verbs: [walk], apiGroups", "resourceRules[0].verbs: Unsupported value"),
		f("all verbs and one", "verbs: [get], apiGroups", "verbs: ['*', get], apiGroups", "if '*' is present, must not specify other verbs"),
		f("all groups and one", "apiGroups: ['']", "apiGroups: ['*', a]", "resourceRules[0].apiGroups: Invalid value"),
		f("all resources and one", "resources: [pods]", "resources: ['*', a]", "resourceRules[0].resources: Invalid value"),
		f("all namespaces and one", "namespaces: [a]", "namespaces: ['*', a]", "resourceRules[0].namespaces: Invalid value"),
		f("all namespaces", "namespaces: [a]", "namespaces: ['*']", ""),
		f("rule's namespace", "namespaces: [a]", "namespaces: [A_]", "resourceRules[0].namespaces[0]: Invalid value"),
		f("any path", "[/x]", "['*']", ""),
		f("root", "[/x]", "[/]", ""),
		f("paths below", "[/x]", "['/x/*']", ""),
		f("relative", "[/x]", "[x]", "nonResourceURLs[0]: Invalid value: \"x\": must start with slash"),
		f("space", "[/x]", "['/x y']", "must not contain white-space"),
		f("double slash", "[/x]", "[//x]", "must not contain double slash"),
		f("star within", "[/x]", "['/x*']", "wildcard can only do suffix matching"),
		f("two stars", "[/x]", "['/*/*']", "wildcard can only do suffix matching"),
		f("first of all", "matchingPrecedence: 5", "matchingPrecedence: 1", "only the schema named 'exempt' may have matchingPrecedence 1"),
		p("fine", "", "", ""),
		p("type", "type: Limited", "type: Free", "spec.type: Unsupported value"),
		p("no type", "type: Limited, ", "", "spec.type: Required value"),
		p("exempt with limits", "type: Limited", "type: Exempt", "spec.limited: Forbidden"),
		p("limited and exempt", "type: Limited,", "type: Limited, exempt: {},", "spec.exempt: Forbidden"),
		p("no limits", ", limited: {nominalConcurrencyShares: 1, lendablePercent: 100, borrowingLimitPercent: 0, limitResponse: {type: Queue, queuing: {queues: 8, handSize: 8, queueLengthLimit: 1}}}", "", "spec.limited: Required value"),
		p("exempt", "type: Limited, limited: {nominalConcurrencyShares: 1, lendablePercent: 100, borrowingLimitPercent: 0, limitResponse: {type: Queue, queuing: {queues: 8, handSize: 8, queueLengthLimit: 1}}}", "type: Exempt", ""),
		p("shares", "Shares: 1", "Shares: -1", "spec.limited.nominalConcurrencyShares: Invalid value"),
		p("lending more than all", "lendablePercent: 100", "lendablePercent: 101", "must be between 0 and 100, inclusive"),
		p("lending less than nothing", "lendablePercent: 100", "lendablePercent: -1", "must be between 0 and 100, inclusive"),
		p("borrowing", "borrowingLimitPercent: 0", "borrowingLimitPercent: -1", "borrowingLimitPercent: Invalid value"),
		p("response", "type: Queue", "type: Laugh", "limitResponse.type: Unsupported value"),
		p("no queue", ", queuing: {queues: 8, handSize: 8, queueLengthLimit: 1}", "", "limitResponse.queuing: Required value"),
		p("rejected and queued", "type: Queue", "type: Reject", "limitResponse.queuing: Forbidden"),
		p("rejected", "type: Queue, queuing: {queues: 8, handSize: 8, queueLengthLimit: 1}", "type: Reject", ""),
		p("hand", "queues: 8", "queues: 7", "should not be greater than queues"),
		p("queues", "queues: 8", "queues: -8", "queuing.queues: Invalid value"),
		p("length", "queueLengthLimit: 1", "queueLengthLimit: -1", "queueLengthLimit: Invalid value"),
		p("negative hand", "handSize: 8", "handSize: -8", "handSize: Invalid value"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "schema", Manifest: sampleSchema, Want: "f | p | 5 | ByUser | <unknown> | ?"},
		{Name: "dangling", Manifest: "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\nmetadata: {name: f}\nstatus: {conditions: [{type: Dangling, status: 'True'}]}", Want: "f |  | 1000 | <none> | <unknown> | True"},
		{Name: "level", Manifest: sampleLevel, Want: "p | Limited | 1 | 8 | 8 | 1 | <unknown>"},
	})
}
