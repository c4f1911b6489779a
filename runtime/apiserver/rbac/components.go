package rbac

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// componentRoles are for the processes of a cluster.
func componentRoles() []rbacv1.ClusterRole {
	return append([]rbacv1.ClusterRole{
		controllerManager(), scheduler(), proxier(), dns(), kubeletAPI(), node(),
	}, certificateRoles()...)
}

func events() []rbacv1.PolicyRule {
	verbs := []string{"create", "patch", "update"}
	return []rbacv1.PolicyRule{on(verbs, "", "events"), on(verbs, "events.k8s.io", "events")}
}

func leases() rbacv1.PolicyRule {
	return on([]string{"create", "get", "list", "watch", "update", "patch"}, "coordination.k8s.io", "leases")
}

func reviews() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		on([]string{"create"}, "authentication.k8s.io", "tokenreviews"),
		on([]string{"create"}, "authorization.k8s.io", "subjectaccessreviews"),
	}
}

// controllerManager runs all controllers under one identity. The namespace and
// the garbage collector must be able to find and delete objects of any kind,
// custom ones too; the others write what they own.
func controllerManager() rbacv1.ClusterRole {
	any := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{"*"}, Resources: []string{"*"}}
	}
	rules := []rbacv1.PolicyRule{
		any("get", "list", "watch", "delete", "deletecollection", "patch", "update"),
		leases(),
		on([]string{"create"}, "", "pods", "configmaps", "secrets", "serviceaccounts", "serviceaccounts/token", "endpoints",
			"persistentvolumeclaims", "persistentvolumes", "pods/eviction", "replicationcontrollers"),
		on([]string{"create"}, "apps", "replicasets", "controllerrevisions", "deployments", "daemonsets", "statefulsets"),
		on([]string{"create"}, "batch", "jobs"),
		on([]string{"create"}, "discovery.k8s.io", "endpointslices"),
		on([]string{"create"}, "storage.k8s.io", "volumeattachments", "csistoragecapacities"),
		on([]string{"create"}, certificatesv1.GroupName, "clustertrustbundles"),
		on([]string{"create"}, "resource.k8s.io", "resourceclaims"),
		on([]string{"update", "patch"}, "", "namespaces/finalize", "namespaces/status", "nodes/status", "pods/status"),
		signers("approve", certificatesv1.KubeAPIServerClientKubeletSignerName, ownSigners),
		signers("sign", certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName,
			certificatesv1.KubeletServingSignerName, legacyUnknownSigner, ownSigners),
		signers("attest", apiServerServingSigner),
		paths("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version"),
	}
	return clusterRole("system:kube-controller-manager", append(append(rules, events()...), reviews()...)...)
}

func scheduler() rbacv1.ClusterRole {
	rules := []rbacv1.PolicyRule{
		leases(),
		on([]string{"get", "list", "watch", "delete"}, "", "pods"),
		on([]string{"create"}, "", "bindings", "pods/binding"),
		on([]string{"patch", "update"}, "", "pods/status"),
		on(read(), "", "nodes", "namespaces", "services", "replicationcontrollers", "persistentvolumes", "persistentvolumeclaims"),
		on([]string{"patch", "update"}, "", "persistentvolumes", "persistentvolumeclaims"),
		on(read(), "apps", "replicasets", "statefulsets", "daemonsets"),
		on(read(), "policy", "poddisruptionbudgets"),
		on(read(), "scheduling.k8s.io", "priorityclasses"),
		on(read(), "storage.k8s.io", "storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"),
		on(read(), "resource.k8s.io", "deviceclasses", "resourceslices", "devicetaintrules"),
		on(append(read(), "patch", "update"), "resource.k8s.io", "resourceclaims", "resourceclaims/status"),
		on([]string{"patch", "update"}, "resource.k8s.io", "resourceclaims/binding"),
	}
	return clusterRole("system:kube-scheduler", append(append(rules, events()...), reviews()...)...)
}

func proxier() rbacv1.ClusterRole {
	rules := []rbacv1.PolicyRule{
		on(read(), "", "services", "endpoints", "nodes"),
		on(read(), "discovery.k8s.io", "endpointslices"),
		on(read(), "networking.k8s.io", "servicecidrs"),
		// It enforces NetworkPolicies too.
		on(read(), "networking.k8s.io", "networkpolicies"),
		on(read(), "", "pods", "namespaces"),
	}
	return clusterRole("system:node-proxier", append(append(rules, events()...), reviews()...)...)
}

func dns() rbacv1.ClusterRole {
	return clusterRole("system:kube-dns", append(reviews(),
		on(read(), "", "services", "endpoints", "pods", "namespaces", "nodes"),
		on(read(), "discovery.k8s.io", "endpointslices"))...)
}

// kubeletAPI is who the API server is to kubelets that ask it (or us).
func kubeletAPI() rbacv1.ClusterRole {
	return clusterRole("system:kubelet-api-admin",
		on(read(), "", "nodes"),
		on([]string{"proxy"}, "", "nodes"),
		on([]string{"*"}, "", "nodes/proxy", "nodes/log", "nodes/metrics", "nodes/stats", "nodes/healthz", "nodes/configz", "nodes/pods"))
}

// node is what the node authorizer allows without looking at pods. It is bound to
// nobody; those who turn the node authorizer into RBAC may bind it.
func node() rbacv1.ClusterRole {
	rules := []rbacv1.PolicyRule{
		on(read(), "", "nodes", "services"),
		on([]string{"create"}, "", "nodes"),
		leases(),
	}
	return clusterRole("system:node", append(append(rules, events()...), reviews()...)...)
}
