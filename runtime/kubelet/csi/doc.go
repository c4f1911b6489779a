// Package csi has volumes of CSI drivers mounted on this node: which drivers have
// registered, what the node's objects say of them, and what was staged and published.
//
// What a driver is asked to do is written to the disk before it is asked, and forgotten
// after it was undone: a process that starts anew finds all that may be mounted. Nothing is
// deleted while something is mounted in it.
//
// The paths of volumes lie where upstream's kubelet has them, below /var/lib/kubelet: the
// manifests of drivers mount those directories into their containers. What is remembered
// lies in the kubelet's own directory, which no driver needs to see.
//
// It may import runtime/durable, runtime/pod and the kubelet's package poddir.
package csi
