// Package trustbundle publishes the authority of the API servers' certificates as a
// ClusterTrustBundle of signer kubernetes.io/kube-apiserver-serving, for pods to mount.
package trustbundle
