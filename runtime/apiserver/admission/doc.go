// Package admission changes and refuses objects on their way in: the service
// account of a pod and its token, its priority and default tolerations, and the
// names that a node may write under. It may import runtime/apiserver/nodeauth;
// what it needs to know is asked through small functions.
package admission
