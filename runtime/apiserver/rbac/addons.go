package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// addonRoles are bound to nobody here: add-ons bind them by upstream's names.
func addonRoles() []rbacv1.ClusterRole {
	return []rbacv1.ClusterRole{
		clusterRole("system:heapster", on(read(), "", "events", "pods", "nodes", "namespaces"), on(read(), "extensions", "deployments")),
		clusterRole("system:kube-aggregator", on(read(), "", "services", "endpoints")),
		clusterRole("system:node-problem-detector", append([]rbacv1.PolicyRule{
			on([]string{"get"}, "", "nodes"), on([]string{"patch"}, "", "nodes/status"),
		}, events()...)...),
		clusterRole("system:persistent-volume-provisioner", append([]rbacv1.PolicyRule{
			on([]string{"get", "list", "watch", "create", "delete"}, "", "persistentvolumes"),
			on([]string{"get", "list", "watch", "update"}, "", "persistentvolumeclaims"),
			on(read(), "storage.k8s.io", "storageclasses"),
			on([]string{"watch"}, "", "events"),
		}, events()...)...),
	}
}

// authenticationReader lets an aggregated API server read how it knows who asks, as the
// cluster publishes it.
func authenticationReader() rbacv1.Role {
	return rbacv1.Role{ObjectMeta: bootstrapMeta("extension-apiserver-authentication-reader", metav1.NamespaceSystem), Rules: []rbacv1.PolicyRule{{
		Verbs: read(), APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"extension-apiserver-authentication"},
	}}}
}
