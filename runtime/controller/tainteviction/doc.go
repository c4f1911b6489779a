// Package tainteviction evicts pods from nodes with NoExecute taints, when their
// tolerations end.
package tainteviction
