package rbac

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// Labels and annotations of the roles that come with a cluster.
const (
	bootstrapLabel  = "kubernetes.io/bootstrapping"
	aggregatePrefix = "rbac.authorization.k8s.io/aggregate-to-"
)

// Policy is the roles and bindings that every cluster has. They are written at
// each start: rules that are missing come back, additions stay.
type Policy struct {
	ClusterRoles        []rbacv1.ClusterRole
	ClusterRoleBindings []rbacv1.ClusterRoleBinding
	Roles               []rbacv1.Role
	RoleBindings        []rbacv1.RoleBinding
}

func read() []string  { return []string{"get", "list", "watch"} }
func write() []string { return []string{"create", "update", "patch", "delete", "deletecollection"} }
func all() []string   { return append(read(), write()...) }

// on is a rule for resources of one group.
func on(verbs []string, group string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{group}, Resources: resources}
}

// paths is a rule for what is no resource.
func paths(p ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: p}
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	return rbacv1.ClusterRole{ObjectMeta: bootstrapMeta(name, ""), Rules: rules}
}

// part is a role whose rules flow into one of admin, edit and view.
func part(of string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	r := clusterRole("system:aggregate-to-"+of, rules...)
	r.Labels[aggregatePrefix+of] = "true"
	return r
}

// sum is a role that takes its rules from the parts labelled for it. flowsInto
// names the wider role that takes them from it in turn.
func sum(name, flowsInto string) rbacv1.ClusterRole {
	r := clusterRole(name)
	r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{aggregatePrefix + name: "true"}}}}
	if flowsInto != "" {
		r.Labels[aggregatePrefix+flowsInto] = "true"
	}
	return r
}

func bootstrapMeta(name, namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: namespace,
		Labels:      map[string]string{bootstrapLabel: "rbac-defaults"},
		Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"},
	}
}

func userSubject(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}
}

func groupSubject(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: name}
}

func bindCluster(role string, subjects ...rbacv1.Subject) rbacv1.ClusterRoleBinding {
	return rbacv1.ClusterRoleBinding{
		ObjectMeta: bootstrapMeta(role, ""), Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
}

// BootstrapPolicy returns the policy.
func BootstrapPolicy() Policy {
	authenticated, unauthenticated := groupSubject("system:authenticated"), groupSubject("system:unauthenticated")
	masters := rbacv1.Role{ObjectMeta: bootstrapMeta("system:masters-reader", metav1.NamespaceDefault), Rules: []rbacv1.PolicyRule{{
		Verbs: read(), APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, ResourceNames: []string{"kubernetes"},
	}}}
	return Policy{
		ClusterRoles: slices.Concat(userRoles(), componentRoles(), addonRoles()),
		ClusterRoleBindings: []rbacv1.ClusterRoleBinding{
			bindCluster("cluster-admin", groupSubject(config.MastersGroup)),
			bindCluster("system:discovery", authenticated),
			bindCluster("system:basic-user", authenticated),
			bindCluster("system:public-info-viewer", authenticated, unauthenticated),
			bindCluster("system:service-account-issuer-discovery", groupSubject("system:serviceaccounts")),
			bindCluster("system:cluster-trust-bundle-discovery", groupSubject("system:serviceaccounts")),
			bindCluster("system:monitoring", groupSubject("system:monitoring")),
			// What etcd asks about the clients of its health address.
			bindCluster("system:auth-delegator", userSubject(config.EtcdHealthUser)),
			bindCluster("system:kube-controller-manager", userSubject(config.ControllerManagerUser)),
			bindCluster("system:kube-scheduler", userSubject(config.SchedulerUser)),
			bindCluster("system:node-proxier", userSubject(config.ProxyUser)),
			bindCluster("system:kube-dns", userSubject(config.DNSUser)),
			bindCluster("system:kubelet-api-admin", userSubject(config.APIServerKubeletUser)),
			bindCluster(selfNodeClient, groupSubject(config.NodesGroup)),
		},
		// Every client finds the masters in this one slice.
		Roles: []rbacv1.Role{masters, authenticationReader()},
		RoleBindings: []rbacv1.RoleBinding{{
			ObjectMeta: bootstrapMeta(masters.Name, masters.Namespace), Subjects: []rbacv1.Subject{authenticated},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: masters.Name},
		}},
	}
}

// userRoles are for people: cluster-admin, admin, edit, view, and what everyone has.
func userRoles() []rbacv1.ClusterRole {
	view := []rbacv1.PolicyRule{
		on(read(), "", "configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods",
			"replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services", "services/status"),
		on(read(), "", "bindings", "events", "limitranges", "namespaces", "namespaces/status", "pods/log", "pods/status",
			"replicationcontrollers/status", "resourcequotas", "resourcequotas/status"),
		on(read(), "events.k8s.io", "events"),
		on(read(), "discovery.k8s.io", "endpointslices"),
		on(read(), "apps", "controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status",
			"replicasets", "replicasets/scale", "replicasets/status", "statefulsets", "statefulsets/scale", "statefulsets/status"),
		on(read(), "autoscaling", "horizontalpodautoscalers", "horizontalpodautoscalers/status"),
		on(read(), "batch", "cronjobs", "cronjobs/status", "jobs", "jobs/status"),
		on(read(), "policy", "poddisruptionbudgets", "poddisruptionbudgets/status"),
		on(read(), "networking.k8s.io", "ingresses", "ingresses/status", "networkpolicies"),
		on(read(), "resource.k8s.io", "resourceclaims", "resourceclaims/status", "resourceclaimtemplates"),
	}
	edit := []rbacv1.PolicyRule{
		on(read(), "", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"),
		on([]string{"impersonate"}, "", "serviceaccounts"),
		on(write(), "", "pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"),
		on([]string{"create"}, "", "pods/eviction"),
		on(write(), "", "configmaps", "persistentvolumeclaims", "replicationcontrollers", "replicationcontrollers/scale", "secrets",
			"serviceaccounts", "services", "services/proxy", "events"),
		on([]string{"create"}, "", "serviceaccounts/token"),
		on(write(), "apps", "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale",
			"statefulsets", "statefulsets/scale"),
		on(write(), "autoscaling", "horizontalpodautoscalers"),
		on(write(), "batch", "cronjobs", "jobs"),
		on(write(), "policy", "poddisruptionbudgets"),
		on(write(), "networking.k8s.io", "ingresses", "networkpolicies"),
		on(write(), "resource.k8s.io", "resourceclaims", "resourceclaimtemplates"),
		on(all(), "coordination.k8s.io", "leases"),
	}
	admin := []rbacv1.PolicyRule{
		on([]string{"create"}, "authorization.k8s.io", "localsubjectaccessreviews"),
		on(all(), rbacv1.GroupName, "roles", "rolebindings"),
	}
	everywhere := []string{"/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"}
	return []rbacv1.ClusterRole{
		clusterRole("cluster-admin",
			rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
			rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}),
		sum("admin", ""), sum("edit", "admin"), sum("view", "edit"),
		part("admin", admin...), part("edit", edit...), part("view", view...),
		clusterRole("system:discovery", paths(everywhere...)),
		clusterRole("system:public-info-viewer", paths("/healthz", "/livez", "/readyz", "/version", "/version/")),
		clusterRole("system:basic-user",
			on([]string{"create"}, "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
			on([]string{"create"}, "authentication.k8s.io", "selfsubjectreviews")),
		clusterRole("system:service-account-issuer-discovery", paths("/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/")),
		clusterRole("system:auth-delegator",
			on([]string{"create"}, "authentication.k8s.io", "tokenreviews"),
			on([]string{"create"}, "authorization.k8s.io", "subjectaccessreviews")),
		clusterRole("system:monitoring", paths("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*")),
	}
}
