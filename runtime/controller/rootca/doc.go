// Package rootca publishes the cluster's CA certificate in every namespace, as
// ConfigMap kube-root-ca.crt, for pods to verify the API server by.
package rootca
