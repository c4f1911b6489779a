// Package csrsigning signs approved requests to Kubernetes' own signers with the
// cluster's authority: kube-apiserver-client, kube-apiserver-client-kubelet,
// kubelet-serving and legacy-unknown. A request that its signer does not sign is
// marked as failed, with the reason.
package csrsigning
