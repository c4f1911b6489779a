package rbac

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

const (
	legacyUnknownSigner = "kubernetes.io/legacy-unknown"
	// apiServerServingSigner names the authority of the API servers' own certificates.
	apiServerServingSigner = "kubernetes.io/kube-apiserver-serving"
	// ownSigners are those of Gantry's domain.
	ownSigners = "gantry.run/*"

	certificateRolePrefix = "system:certificates.k8s.io:"
	// selfNodeClient is bound to nodes: each renews its own client certificate.
	selfNodeClient = certificateRolePrefix + "certificatesigningrequests:selfnodeclient"
)

// signers is a rule for a verb on signers of these names.
func signers(verb string, names ...string) rbacv1.PolicyRule {
	r := on([]string{verb}, certificatesv1.GroupName, "signers")
	r.ResourceNames = names
	return r
}

// certificateRoles are Kubernetes' own for certificates: who may have requests
// approved without asking a person, and who may approve those of a signer.
func certificateRoles() []rbacv1.ClusterRole {
	create := []string{"create"}
	return []rbacv1.ClusterRole{
		clusterRole("system:node-bootstrapper", on(append(create, read()...), certificatesv1.GroupName, "certificatesigningrequests")),
		clusterRole(certificateRolePrefix+"certificatesigningrequests:nodeclient", on(create, certificatesv1.GroupName, "certificatesigningrequests/nodeclient")),
		clusterRole(selfNodeClient, on(create, certificatesv1.GroupName, "certificatesigningrequests/selfnodeclient")),
		clusterRole(certificateRolePrefix+"legacy-unknown-approver", signers("approve", legacyUnknownSigner)),
		clusterRole(certificateRolePrefix+"kubelet-serving-approver", signers("approve", certificatesv1.KubeletServingSignerName)),
		clusterRole(certificateRolePrefix+"kube-apiserver-client-approver", signers("approve", certificatesv1.KubeAPIServerClientSignerName)),
		clusterRole(certificateRolePrefix+"kube-apiserver-client-kubelet-approver", signers("approve", certificatesv1.KubeAPIServerClientKubeletSignerName)),
		clusterRole("system:cluster-trust-bundle-discovery", on(read(), certificatesv1.GroupName, "clustertrustbundles")),
	}
}
