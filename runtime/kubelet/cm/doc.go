// Package cm manages the containers' place in the kernel's resource control: the tree
// of QoS classes and pods, on cgroup v1 and v2, and the values that requests and
// limits become. Containers' own cgroups are made by the runtime below their pod's.
// It may import runtime/pod and runtime/kubelet/container.
//
// The tree is <root>/pod<uid> for Guaranteed pods, <root>/burstable/pod<uid> and
// <root>/besteffort/pod<uid> for the others.
package cm
