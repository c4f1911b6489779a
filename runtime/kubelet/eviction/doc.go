// Package eviction ends pods that take more of the node than they may. What is over a
// limit is decided purely, of statistics; the workers of the pods do the rest.
//
// It may import runtime/pod and the kubelet's packages admit and status.
package eviction
