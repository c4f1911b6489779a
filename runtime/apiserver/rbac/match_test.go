package rbac

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// ask is a request for a resource.
func ask(verb, group, resource, subresource, namespace, name string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{
		ResourceRequest: true, Verb: verb, APIGroup: group, Resource: resource, Subresource: subresource, Namespace: namespace, Name: name,
	}
}

// askPath is a request for what is no resource.
func askPath(verb, path string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{Verb: verb, Path: path}
}

func TestAllows(t *testing.T) {
	rule := func(verbs, groups, resources []string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: verbs, APIGroups: groups, Resources: resources, ResourceNames: names}
	}
	urls := func(verbs []string, p ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: verbs, NonResourceURLs: p}
	}
	s := func(list ...string) []string { return list }
	readPods := rule(s("get", "list"), s(""), s("pods"))
	tests := []struct {
		name    string
		rule    rbacv1.PolicyRule
		request authorizer.AttributesRecord
		want    bool
	}{
		{"the verb", readPods, ask("get", "", "pods", "", "team", "a"), true},
		{"the second verb", readPods, ask("list", "", "pods", "", "team", ""), true},
		{"another verb", readPods, ask("watch", "", "pods", "", "team", ""), false},
		{"any verb", rule(s("*"), s(""), s("pods")), ask("impersonate", "", "pods", "", "team", "a"), true},
		{"any verb among others", rule(s("get", "*"), s(""), s("pods")), ask("delete", "", "pods", "", "team", "a"), true},
		{"no verb", rule(nil, s(""), s("pods")), ask("get", "", "pods", "", "team", "a"), false},
		{"a verb is no pattern", rule(s("g*"), s(""), s("pods")), ask("get", "", "pods", "", "team", "a"), false},

		{"another group", rule(s("get"), s("apps"), s("deployments")), ask("get", "extensions", "deployments", "", "team", "a"), false},
		{"the core group is not every group", rule(s("get"), s(""), s("deployments")), ask("get", "apps", "deployments", "", "team", "a"), false},
		{"any group", rule(s("get"), s("*"), s("deployments")), ask("get", "apps", "deployments", "", "team", "a"), true},
		{"one of two groups", rule(s("get"), s("", "apps"), s("deployments")), ask("get", "apps", "deployments", "", "team", "a"), true},
		{"no group", rule(s("get"), nil, s("pods")), ask("get", "", "pods", "", "team", "a"), false},
		{"any group of another resource", rule(s("get"), s("*"), s("pods")), ask("get", "apps", "deployments", "", "team", "a"), false},

		{"another resource", readPods, ask("get", "", "secrets", "", "team", "a"), false},
		{"any resource of the group", rule(s("get"), s(""), s("*")), ask("get", "", "secrets", "", "team", "a"), true},
		{"any resource of another group", rule(s("get"), s(""), s("*")), ask("get", "apps", "deployments", "", "team", "a"), false},
		{"no resource", rule(s("get"), s(""), nil), ask("get", "", "pods", "", "team", "a"), false},

		{"one of the names", rule(s("get"), s(""), s("pods"), "a", "b"), ask("get", "", "pods", "", "team", "b"), true},
		{"another name", rule(s("get"), s(""), s("pods"), "a", "b"), ask("get", "", "pods", "", "team", "c"), false},
		{"a name where none is given", rule(s("list"), s(""), s("pods"), "a"), ask("list", "", "pods", "", "team", ""), false},
		{"a star is a name like others", rule(s("get"), s(""), s("pods"), "*"), ask("get", "", "pods", "", "team", "a"), false},
		{"no names are all", rule(s("get"), s(""), s("pods")), ask("get", "", "pods", "", "team", ""), true},
		{"the name, but another resource", rule(s("get"), s(""), s("pods"), "a"), ask("get", "", "secrets", "", "team", "a"), false},
		{"the name, but another group", rule(s("get"), s(""), s("pods"), "a"), ask("get", "metrics.k8s.io", "pods", "", "team", "a"), false},

		{"the path", urls(s("get"), "/healthz", "/metrics"), askPath("get", "/metrics"), true},
		{"another path", urls(s("get"), "/healthz"), askPath("get", "/metrics"), false},
		{"another verb on the path", urls(s("get"), "/healthz"), askPath("post", "/healthz"), false},
		{"any verb on the path", urls(s("*"), "/healthz"), askPath("post", "/healthz"), true},
		{"a rule for resources says nothing of paths", rule(s("*"), s("*"), s("*")), askPath("get", "/healthz"), false},
		{"a rule for paths says nothing of resources", urls(s("*"), "*"), ask("get", "", "pods", "", "team", "a"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := allows(&tt.rule, tt.request); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestPathMatches(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"/healthz", "/healthz", true},
		{"/healthz", "/healthz/etcd", false},
		{"/healthz", "/health", false},
		{"/healthz/*", "/healthz/etcd", true},
		{"/healthz/*", "/healthz/", true},
		{"/healthz/*", "/healthz", false},
		{"/healthz*", "/healthz", true},
		{"/healthz*", "/livez", false},
		{"*", "/anything", true},
		{"/apis/*/v1", "/apis/apps/v1", false},
		{"/apis/*/v1", "/apis/*/v1", true},
		{"", "/", false},
	}
	for _, tt := range tests {
		if got := pathMatches(tt.pattern, tt.path); got != tt.want {
			t.Errorf("%q for %q: %v", tt.pattern, tt.path, got)
		}
	}
}

func TestResourceMatches(t *testing.T) {
	tests := []struct {
		rules                 []string
		resource, subresource string
		want                  bool
	}{
		{[]string{"pods"}, "pods", "", true},
		{[]string{"secrets", "pods"}, "pods", "", true},
		{[]string{"pods"}, "secrets", "", false},
		{nil, "pods", "", false},
		// A resource and its subresources are granted apart.
		{[]string{"pods"}, "pods", "log", false},
		{[]string{"pods/log"}, "pods", "log", true},
		{[]string{"pods/log"}, "pods", "", false},
		{[]string{"pods/log"}, "pods", "exec", false},
		{[]string{"pods/*"}, "pods", "log", false},
		{[]string{"*"}, "pods", "", true},
		{[]string{"*"}, "pods", "log", true},
		{[]string{"*/scale"}, "deployments", "scale", true},
		{[]string{"*/scale"}, "deployments", "status", false},
		{[]string{"*/scale"}, "deployments", "", false},
		{[]string{"*/scale"}, "scale", "", false},
		{[]string{"*/"}, "deployments", "", false},
		{[]string{"pods/scale"}, "deployments", "scale", false},
		{[]string{"*/status", "*/scale"}, "deployments", "scale", true},
	}
	for _, tt := range tests {
		if got := resourceMatches(tt.rules, tt.resource, tt.subresource); got != tt.want {
			t.Errorf("%v for %s/%s: %v", tt.rules, tt.resource, tt.subresource, got)
		}
	}
}

func TestKeyOf(t *testing.T) {
	tests := []struct {
		name      string
		subject   rbacv1.Subject
		namespace string // of the binding
		want      subjectKey
		ok        bool
	}{
		{"user", rbacv1.Subject{Kind: "User", Name: "ann"}, "team", subjectKey{"User", "ann"}, true},
		{"user everywhere", rbacv1.Subject{Kind: "User", Name: "ann"}, "", subjectKey{"User", "ann"}, true},
		{"group", rbacv1.Subject{Kind: "Group", Name: "ann"}, "team", subjectKey{"Group", "ann"}, true},
		{"account", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "other", Name: "bot"}, "team", subjectKey{"User", "system:serviceaccount:other:bot"}, true},
		{"account of the binding's namespace", rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"}, "team", subjectKey{"User", "system:serviceaccount:team:bot"}, true},
		{"account everywhere", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "other", Name: "bot"}, "", subjectKey{"User", "system:serviceaccount:other:bot"}, true},
		{"account of no namespace", rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"}, "", subjectKey{}, false},
		{"unknown kind", rbacv1.Subject{Kind: "Robot", Name: "bot"}, "team", subjectKey{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := keyOf(tt.subject, tt.namespace)
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("%v, %v", got, ok)
			}
		})
	}
}

func TestKeysOf(t *testing.T) {
	got := keysOf(&user.DefaultInfo{Name: "ann", Groups: []string{"ops", "system:authenticated"}})
	want := []subjectKey{{"User", "ann"}, {"Group", "ops"}, {"Group", "system:authenticated"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
