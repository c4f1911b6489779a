// Package csrapproving approves the requests of kubelets for client certificates of
// their own identity, where RBAC says that their user may have that without asking:
// "create" on certificatesigningrequests/nodeclient, or /selfnodeclient for the
// identity that asks. Serving certificates are not approved: a node tells its
// addresses itself, and would be given those of another. Nodes renew theirs by
// proving that they have them.
package csrapproving
