package rbac

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/gantry-run/gantry/runtime/config"
)

// policed is a new cluster: the policy, aggregated, and three people with the
// roles for people in the namespace team.
func policed(t *testing.T) *Authorizer {
	t.Helper()
	p := BootstrapPolicy()
	var objects []runtime.Object
	var roles []*rbacv1.ClusterRole
	for i := range p.ClusterRoles {
		roles = append(roles, &p.ClusterRoles[i])
	}
	// view flows into edit, and edit into admin.
	for range 3 {
		for _, r := range roles {
			if r.AggregationRule == nil {
				continue
			}
			rules, err := union(r, roles)
			if err != nil {
				t.Fatal(err)
			}
			r.Rules = rules
		}
	}
	for _, r := range roles {
		objects = append(objects, r)
	}
	for i := range p.ClusterRoleBindings {
		objects = append(objects, &p.ClusterRoleBindings[i])
	}
	for i := range p.Roles {
		objects = append(objects, &p.Roles[i])
	}
	for i := range p.RoleBindings {
		objects = append(objects, &p.RoleBindings[i])
	}
	for _, name := range []string{"admin", "edit", "view"} {
		objects = append(objects, bind("team", name, ref("ClusterRole", name), userSubject(name)))
	}
	objects = append(objects,
		bindEverywhere("node", "system:node", userSubject("old node")),
		bindEverywhere("delegator", "system:auth-delegator", userSubject("delegator")),
		bindEverywhere("detector", "system:node-problem-detector", userSubject("detector")),
		bindEverywhere("provisioner", "system:persistent-volume-provisioner", userSubject("provisioner")),
		bind("kube-system", "extension", ref("Role", "extension-apiserver-authentication-reader"), userSubject("extension")))
	return authorizerOf(t, objects...)
}

func TestPolicyGrants(t *testing.T) {
	const group = rbacv1.GroupName
	master := person("root", config.MastersGroup)
	admin, edit, view := person("admin"), person("edit"), person("view")
	anyone, stranger := person("x", "system:authenticated"), person("system:anonymous", "system:unauthenticated")
	account := person("system:serviceaccount:team:bot", "system:serviceaccounts", "system:serviceaccounts:team")
	monitor := person("m", "system:monitoring")
	manager, scheduler := person(config.ControllerManagerUser), person(config.SchedulerUser)
	proxy, dns, server := person(config.ProxyUser), person(config.DNSUser), person(config.APIServerKubeletUser)
	node, delegator := person("old node"), person("delegator")
	detector, provisioner, extension := person("detector"), person("provisioner"), person("extension")
	core := func(verb, resource, subresource, namespace string) authorizer.AttributesRecord {
		return ask(verb, "", resource, subresource, namespace, "a")
	}
	tests := []struct {
		who     user.Info
		request authorizer.AttributesRecord
		want    bool
	}{
		{master, core("escalate", "anything", "at-all", ""), true},
		{master, ask("delete", "example.com", "widgets", "", "team", "a"), true},
		{master, askPath("post", "/debug"), true},

		{view, core("get", "pods", "", "team"), true},
		{view, core("watch", "pods", "log", "team"), true},
		{view, core("list", "configmaps", "", "team"), true},
		{view, ask("get", "apps", "deployments", "", "team", "a"), true},
		{view, ask("get", "batch", "jobs", "status", "team", "a"), true},
		{view, core("get", "pods", "", "other"), false},
		{view, core("get", "secrets", "", "team"), false},
		{view, core("get", "pods", "exec", "team"), false},
		{view, core("create", "pods", "", "team"), false},
		{view, core("impersonate", "serviceaccounts", "", "team"), false},
		{view, ask("list", group, "roles", "", "team", ""), false},

		{edit, core("get", "pods", "", "team"), true},
		{edit, core("get", "secrets", "", "team"), true},
		{edit, core("deletecollection", "secrets", "", "team"), true},
		{edit, core("create", "pods", "exec", "team"), true},
		{edit, core("create", "pods", "eviction", "team"), true},
		{edit, core("delete", "pods", "eviction", "team"), false},
		{edit, core("create", "serviceaccounts", "token", "team"), true},
		{edit, core("impersonate", "serviceaccounts", "", "team"), true},
		{edit, core("impersonate", "users", "", "team"), false},
		{edit, ask("patch", "apps", "deployments", "scale", "team", "a"), true},
		{edit, ask("update", "apps", "deployments", "status", "team", "a"), false},
		{edit, ask("update", "coordination.k8s.io", "leases", "", "team", "a"), true},
		{edit, core("update", "resourcequotas", "", "team"), false},
		{edit, core("update", "namespaces", "", "team"), false},
		{edit, core("create", "pods", "binding", "team"), false},
		{edit, core("update", "endpoints", "", "team"), false},
		{edit, ask("create", "discovery.k8s.io", "endpointslices", "", "team", ""), false},
		{edit, ask("get", group, "roles", "", "team", "a"), false},
		{edit, core("create", "pods", "", "other"), false},

		{admin, core("get", "pods", "", "team"), true},
		{admin, core("delete", "secrets", "", "team"), true},
		{admin, ask("create", group, "rolebindings", "", "team", "a"), true},
		{admin, ask("escalate", group, "roles", "", "team", "a"), false},
		{admin, ask("bind", group, "clusterroles", "", "team", "a"), false},
		{admin, ask("create", group, "clusterroles", "", "", "a"), false},
		{admin, ask("create", "authorization.k8s.io", "localsubjectaccessreviews", "", "team", ""), true},
		{admin, core("update", "resourcequotas", "", "team"), false},
		{admin, core("get", "nodes", "", ""), false},

		{anyone, ask("create", "authorization.k8s.io", "selfsubjectaccessreviews", "", "", ""), true},
		{anyone, ask("create", "authorization.k8s.io", "selfsubjectrulesreviews", "", "", ""), true},
		{anyone, ask("create", "authentication.k8s.io", "selfsubjectreviews", "", "", ""), true},
		{anyone, ask("create", "authorization.k8s.io", "subjectaccessreviews", "", "", ""), false},
		{anyone, askPath("get", "/api"), true},
		{anyone, askPath("get", "/apis/apps/v1"), true},
		{anyone, askPath("get", "/openapi/v3"), true},
		{anyone, askPath("get", "/version"), true},
		{anyone, askPath("get", "/metrics"), false},
		{anyone, askPath("get", "/healthz/etcd"), false},
		{anyone, askPath("post", "/api"), false},
		{anyone, core("get", "pods", "", "default"), false},
		// The one slice that every client finds the masters in.
		{anyone, ask("get", "discovery.k8s.io", "endpointslices", "", "default", "kubernetes"), true},
		{anyone, ask("watch", "discovery.k8s.io", "endpointslices", "", "default", "kubernetes"), true},
		{anyone, ask("list", "discovery.k8s.io", "endpointslices", "", "default", ""), false},
		{anyone, ask("get", "discovery.k8s.io", "endpointslices", "", "default", "other"), false},
		{anyone, ask("get", "discovery.k8s.io", "endpointslices", "", "team", "kubernetes"), false},
		{anyone, ask("update", "discovery.k8s.io", "endpointslices", "", "default", "kubernetes"), false},

		{stranger, askPath("get", "/version"), true},
		{stranger, askPath("get", "/livez"), true},
		{stranger, askPath("get", "/api"), false},
		{stranger, askPath("get", "/openid/v1/jwks"), false},
		{stranger, ask("create", "authorization.k8s.io", "selfsubjectaccessreviews", "", "", ""), false},
		{stranger, ask("get", "discovery.k8s.io", "endpointslices", "", "default", "kubernetes"), false},

		{account, askPath("get", "/openid/v1/jwks"), true},
		{account, askPath("get", "/.well-known/openid-configuration"), true},
		{account, core("get", "secrets", "", "team"), false},
		{account, ask("list", "certificates.k8s.io", "clustertrustbundles", "", "", ""), true},
		{account, ask("create", "certificates.k8s.io", "clustertrustbundles", "", "", ""), false},
		{anyone, ask("list", "certificates.k8s.io", "clustertrustbundles", "", "", ""), false},

		{extension, ask("get", "", "configmaps", "", "kube-system", "extension-apiserver-authentication"), true},
		{extension, ask("watch", "", "configmaps", "", "kube-system", "extension-apiserver-authentication"), true},
		{extension, ask("get", "", "configmaps", "", "kube-system", "other"), false},
		{extension, ask("update", "", "configmaps", "", "kube-system", "extension-apiserver-authentication"), false},
		{extension, ask("get", "", "configmaps", "", "team", "extension-apiserver-authentication"), false},
		{account, ask("get", "", "configmaps", "", "kube-system", "extension-apiserver-authentication"), false},
		{detector, core("patch", "nodes", "status", ""), true},
		{detector, core("patch", "nodes", "", ""), false},
		{detector, core("create", "events", "", "default"), true},
		{provisioner, core("create", "persistentvolumes", "", ""), true},
		{provisioner, core("update", "persistentvolumes", "", ""), false},
		{provisioner, core("update", "persistentvolumeclaims", "", "team"), true},
		{provisioner, core("delete", "persistentvolumeclaims", "", "team"), false},

		{monitor, askPath("get", "/metrics"), true},
		{monitor, askPath("get", "/readyz/etcd"), true},
		{monitor, askPath("get", "/debug"), false},

		{manager, ask("delete", "example.com", "widgets", "", "team", "a"), true},
		{manager, ask("deletecollection", "example.com", "widgets", "", "team", ""), true},
		{manager, ask("create", "example.com", "widgets", "", "team", "a"), false},
		{manager, core("create", "pods", "", "team"), true},
		{manager, core("create", "serviceaccounts", "token", "team"), true},
		{manager, ask("create", "apps", "replicasets", "", "team", "a"), true},
		{manager, ask("create", "discovery.k8s.io", "endpointslices", "", "team", "a"), true},
		{manager, ask("sign", "certificates.k8s.io", "signers", "", "", "kubernetes.io/kubelet-serving"), true},
		{manager, ask("sign", "certificates.k8s.io", "signers", "", "", "example.com/a"), false},
		{manager, ask("approve", "certificates.k8s.io", "signers", "", "", "kubernetes.io/kube-apiserver-client-kubelet"), true},
		{manager, ask("approve", "certificates.k8s.io", "signers", "", "", "kubernetes.io/kubelet-serving"), false},
		{manager, ask("approve", "certificates.k8s.io", "signers", "", "", "kubernetes.io/kube-apiserver-client"), false},
		{manager, ask("attest", "certificates.k8s.io", "signers", "", "", "kubernetes.io/kube-apiserver-serving"), true},
		{manager, ask("create", "certificates.k8s.io", "clustertrustbundles", "", "", ""), true},
		{person("system:node:a", config.NodesGroup), ask("create", "certificates.k8s.io", "certificatesigningrequests", "selfnodeclient", "", ""), true},
		{person("system:node:a", config.NodesGroup), ask("create", "certificates.k8s.io", "certificatesigningrequests", "nodeclient", "", ""), false},
		{manager, core("update", "namespaces", "finalize", ""), true},
		{manager, core("create", "events", "", "team"), true},
		{manager, ask("create", "events.k8s.io", "events", "", "team", "a"), true},
		{manager, ask("create", "coordination.k8s.io", "leases", "", "kube-system", "a"), true},
		{manager, ask("create", "authentication.k8s.io", "tokenreviews", "", "", ""), true},
		{manager, ask("create", group, "clusterrolebindings", "", "", "a"), false},
		{manager, ask("escalate", group, "clusterroles", "", "", "a"), false},
		{manager, ask("bind", group, "clusterroles", "", "", "cluster-admin"), false},
		{manager, core("impersonate", "users", "", ""), false},
		{manager, core("create", "nodes", "", ""), false},
		{manager, askPath("get", "/apis/apps"), true},

		{scheduler, core("create", "pods", "binding", "team"), true},
		{scheduler, core("delete", "pods", "", "team"), true},
		{scheduler, core("patch", "pods", "status", "team"), true},
		{scheduler, core("create", "pods", "", "team"), false},
		{scheduler, core("update", "pods", "", "team"), false},
		{scheduler, core("watch", "nodes", "", ""), true},
		{scheduler, core("update", "nodes", "", ""), false},
		{scheduler, core("get", "secrets", "", "team"), false},
		{scheduler, ask("watch", "policy", "poddisruptionbudgets", "", "", ""), true},
		{scheduler, ask("watch", "storage.k8s.io", "csinodes", "", "", ""), true},
		{scheduler, core("patch", "persistentvolumeclaims", "", "team"), true},
		{scheduler, ask("watch", "resource.k8s.io", "resourceslices", "", "", ""), true},
		{scheduler, ask("watch", "resource.k8s.io", "devicetaintrules", "", "", ""), true},
		{scheduler, ask("update", "resource.k8s.io", "resourceclaims", "status", "team", "c"), true},
		{scheduler, ask("update", "resource.k8s.io", "resourceclaims", "binding", "", ""), true},
		{scheduler, ask("update", "resource.k8s.io", "resourceslices", "", "", "s"), false},
		{scheduler, ask("update", "coordination.k8s.io", "leases", "", "kube-system", "a"), true},
		{scheduler, ask("delete", "coordination.k8s.io", "leases", "", "kube-system", "a"), false},

		{proxy, core("watch", "services", "", ""), true},
		{proxy, ask("watch", "discovery.k8s.io", "endpointslices", "", "", ""), true},
		{proxy, ask("create", "authentication.k8s.io", "tokenreviews", "", "", ""), true},
		{proxy, core("update", "services", "", "team"), false},
		{proxy, core("get", "secrets", "", "team"), false},
		{proxy, core("create", "events", "", "team"), true},

		{dns, core("watch", "services", "", ""), true},
		{dns, core("list", "pods", "", ""), true},
		{dns, ask("create", "authorization.k8s.io", "subjectaccessreviews", "", "", ""), true},
		{dns, core("get", "configmaps", "", "team"), false},

		{person(config.EtcdHealthUser), ask("create", "authorization.k8s.io", "subjectaccessreviews", "", "", ""), true},
		{person(config.EtcdHealthUser), ask("create", "authentication.k8s.io", "tokenreviews", "", "", ""), true},
		{person(config.EtcdHealthUser), core("get", "pods", "", "team"), false},
		{dns, core("create", "events", "", "team"), false},

		{server, core("get", "nodes", "proxy", ""), true},
		{server, core("create", "nodes", "log", ""), true},
		{server, core("proxy", "nodes", "", ""), true},
		{server, core("update", "nodes", "", ""), false},
		{server, core("update", "nodes", "status", ""), false},
		{server, core("get", "pods", "", "team"), false},

		{delegator, ask("create", "authentication.k8s.io", "tokenreviews", "", "", ""), true},
		{delegator, ask("create", "authorization.k8s.io", "subjectaccessreviews", "", "", ""), true},
		{delegator, ask("create", "authorization.k8s.io", "localsubjectaccessreviews", "", "team", ""), false},

		{node, core("create", "nodes", "", ""), true},
		{node, core("update", "nodes", "", ""), false},
		{node, core("get", "secrets", "", "team"), false},
		{node, core("list", "pods", "", ""), false},
		// A node is what the node authorizer makes of it: its group has no role here.
		{person("system:node:a", config.NodesGroup), core("get", "nodes", "", ""), false},
		{person("nobody"), core("get", "pods", "", "team"), false},
	}
	a := policed(t)
	for _, tt := range tests {
		tt.request.User = tt.who
		d, _, err := a.Authorize(t.Context(), tt.request)
		if err != nil || (d == authorizer.DecisionAllow) != tt.want {
			t.Errorf("%s %s: %s %s/%s %s in %q: %v, %v", tt.who.GetName(), tt.request.Verb, tt.request.APIGroup, tt.request.Resource, tt.request.Subresource,
				tt.request.Path, tt.request.Namespace, d, err)
		}
	}
}

// Every binding's role is in the policy, names are unique, and all of it is marked
// as coming with the cluster and to be kept up to date.
func TestPolicyIsWhole(t *testing.T) {
	p := BootstrapPolicy()
	roles := map[roleKey]bool{}
	marked := func(kind, namespace, name string, labels, annotations map[string]string) {
		t.Helper()
		if labels["kubernetes.io/bootstrapping"] != "rbac-defaults" || annotations["rbac.authorization.kubernetes.io/autoupdate"] != "true" {
			t.Errorf("%s %s/%s: %v, %v", kind, namespace, name, labels, annotations)
		}
	}
	add := func(k roleKey) {
		t.Helper()
		if roles[k] {
			t.Errorf("%v twice", k)
		}
		roles[k] = true
	}
	for _, r := range p.ClusterRoles {
		marked("ClusterRole", "", r.Name, r.Labels, r.Annotations)
		add(roleKey{"", r.Name})
		for _, rule := range r.Rules {
			if len(rule.Verbs) == 0 || (len(rule.NonResourceURLs) == 0) == (len(rule.Resources) == 0) || (len(rule.Resources) == 0) != (len(rule.APIGroups) == 0) {
				t.Errorf("%s: %+v", r.Name, rule)
			}
		}
	}
	for _, r := range p.Roles {
		marked("Role", r.Namespace, r.Name, r.Labels, r.Annotations)
		add(roleKey{r.Namespace, r.Name})
	}
	for _, b := range p.ClusterRoleBindings {
		marked("ClusterRoleBinding", "", b.Name, b.Labels, b.Annotations)
		if b.RoleRef != ref("ClusterRole", b.RoleRef.Name) || !roles[roleKey{"", b.RoleRef.Name}] || len(b.Subjects) == 0 {
			t.Errorf("binding %s: %+v", b.Name, b)
		}
	}
	for _, b := range p.RoleBindings {
		marked("RoleBinding", b.Namespace, b.Name, b.Labels, b.Annotations)
		if b.RoleRef != ref("Role", b.RoleRef.Name) || !roles[roleKey{b.Namespace, b.RoleRef.Name}] || len(b.Subjects) == 0 {
			t.Errorf("binding %s/%s: %+v", b.Namespace, b.Name, b)
		}
	}
}

// The roles for people are sums of parts: what an extension labels flows up.
func TestPolicyAggregates(t *testing.T) {
	p := BootstrapPolicy()
	role := func(name string) *rbacv1.ClusterRole {
		i := slices.IndexFunc(p.ClusterRoles, func(r rbacv1.ClusterRole) bool { return r.Name == name })
		if i < 0 {
			t.Fatalf("no role %s", name)
		}
		return &p.ClusterRoles[i]
	}
	const to = "rbac.authorization.k8s.io/aggregate-to-"
	tests := []struct{ name, sum, part, into string }{
		{"admin", "admin", "system:aggregate-to-admin", ""},
		{"edit", "edit", "system:aggregate-to-edit", "admin"},
		{"view", "view", "system:aggregate-to-view", "edit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sum, part := role(tt.sum), role(tt.part)
			if sum.AggregationRule == nil || len(sum.AggregationRule.ClusterRoleSelectors) != 1 || len(sum.Rules) != 0 ||
				sum.AggregationRule.ClusterRoleSelectors[0].MatchLabels[to+tt.name] != "true" {
				t.Errorf("%+v", sum)
			}
			if part.AggregationRule != nil || part.Labels[to+tt.name] != "true" || len(part.Rules) == 0 {
				t.Errorf("%+v", part)
			}
			for _, into := range []string{"", "admin", "edit", "view"} {
				if got := sum.Labels[to+into]; (got == "true") != (into != "" && into == tt.into) || into == "" && got != "" {
					t.Errorf("into %q: %q", into, got)
				}
			}
		})
	}
}
