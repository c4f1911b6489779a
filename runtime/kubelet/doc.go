// Package kubelet runs the pods that are bound to this node: it registers the
// node and keeps its heartbeat, starts and stops containers, probes them, fills
// their volumes and serves their logs and sessions.
//
// One worker per pod does everything for that pod, in order, woken by changes of
// the pod, by containers that end and by probe results; nothing is polled. What
// a container should be is computed by pure functions (plan.go, status.go,
// spec.go); the worker carries it out. All state that has to outlive the process
// is in the labels of containers and in the kernel, so that a restart adopts
// what runs.
//
// It declares the ContainerRuntime, ImageStore and PodNetwork that it needs; the
// adapter in runtime/kubelet/containerd and runtime/network implement them and
// cmd/gantry joins them. It may import runtime/client, runtime/config and its own
// subpackages.
package kubelet
