package rbac

import (
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const (
	sampleRole     = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\nrules: [{verbs: [get], apiGroups: [''], resources: [pods]}]"
	sampleCluster  = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\nrules: [{verbs: [get], nonResourceURLs: [/x]}]\naggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}"
	sampleBinding  = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: a}\nroleRef: {kind: ClusterRole, name: view}\nsubjects: [{kind: User, name: ann}, {kind: Group, name: dev}, {kind: ServiceAccount, name: sa}]"
	sampleCBinding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: a}\nroleRef: {kind: ClusterRole, name: view}\nsubjects: [{kind: ServiceAccount, name: sa, namespace: ns}]"
)

func TestValidation(t *testing.T) {
	r := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleRole, from, to, want)
	}
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleCluster, from, to, want)
	}
	b := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleBinding, from, to, want)
	}
	cb := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleCBinding, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		r("fine", "", "", ""),
		r("no verbs", "verbs: [get], ", "", "rules[0].verbs: Required value"),
		r("no groups", "apiGroups: [''], ", "", "resource rules must supply at least one api group"),
		r("no resources", ", resources: [pods]", "", "resource rules must supply at least one resource"),
		r("paths of a namespace", "apiGroups: [''], resources: [pods]", "nonResourceURLs: [/x]", "namespaced rules cannot apply to non-resource URLs"),
		c("fine", "", "", ""),
		c("paths and resources", "nonResourceURLs: [/x]", "nonResourceURLs: [/x], resources: [pods]", "rules cannot apply to both regular resources and non-resource URLs"),
		c("aggregation of nothing", "[{matchLabels: {a: b}}]", "[]", "at least one clusterRoleSelector required"),
		c("aggregation", "{a: b}", "{'/': b}", "aggregationRule.clusterRoleSelectors[0]"),
		b("fine", "", "", ""),
		b("own role", "kind: ClusterRole", "kind: Role", ""),
		b("role of what", "kind: ClusterRole", "kind: Pod", "roleRef.kind: Unsupported value"),
		b("role of nothing", "kind: ClusterRole, ", "", "roleRef.kind: Unsupported value"),
		b("role group", "roleRef: {kind", "roleRef: {apiGroup: x, kind", "roleRef.apiGroup: Unsupported value"),
		b("no role", ", name: view", "", "roleRef.name: Required value"),
		b("role name", "name: view", "name: a/b", "may not contain \"/\""),
		b("nobody", "name: ann", "name: ''", "subjects[0].name: Required value"),
		b("who", "kind: User", "kind: Cat", "subjects[0].kind: Unsupported value"),
		b("user's group", "kind: User", "apiGroup: x, kind: User", "subjects[0].apiGroup: Unsupported value"),
		b("account's group", "kind: ServiceAccount", "apiGroup: x, kind: ServiceAccount", "subjects[2].apiGroup: Unsupported value"),
		b("account's name", "name: sa", "name: S_A", "subjects[2].name: Invalid value"),
		cb("fine", "", "", ""),
		cb("a namespace's role", "kind: ClusterRole, name", "kind: Role, name", "roleRef.kind: Unsupported value"),
		cb("account of which namespace", ", namespace: ns", "", "subjects[0].namespace: Required value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{b("role", "name: view", "name: edit", "cannot change roleRef"), cb("role", "name: view", "name: edit", "cannot change roleRef"), b("subjects", "name: dev", "name: ops", "")})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "binding", Manifest: sampleBinding, Want: "a | ClusterRole/view | <unknown> | (ann) | (dev) | (/sa)"},
		{Name: "cluster's binding", Manifest: sampleCBinding, Want: "a | ClusterRole/view | <unknown> | () | () | (ns/sa)"},
	})
}
