// Package runtimeclass finds the handler of a pod's RuntimeClass: the name by which the
// container runtime knows how the pod's containers are run. It may import the kubelet's
// package poddir.
package runtimeclass
