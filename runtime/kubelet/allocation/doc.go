// Package allocation says what of the node's CPU and memory a pod was given: what it
// asked for when it was admitted, or in the last resize that the node had room for. It
// is kept in the pod's directory, so that a resize which came while this process was
// away is told from what the pod runs with. It may import runtime/pod and
// runtime/kubelet/poddir.
package allocation
