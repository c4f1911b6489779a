package pod

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
)

// ContainerType is a kind of container of a pod, or a set of kinds.
type ContainerType int

// The kinds of containers. A sidecar is an init container (see IsSidecar).
const (
	InitContainers ContainerType = 1 << iota
	MainContainers
	EphemeralContainers

	AllContainers = InitContainers | MainContainers | EphemeralContainers
)

// Containers iterates over a pod's containers of the given types: the init
// containers, sidecars among them, then the main ones, then the ephemeral ones, each in
// the order of the spec. The pointers lead into spec.
func Containers(spec *corev1.PodSpec, types ContainerType) iter.Seq2[ContainerType, *corev1.Container] {
	return func(yield func(ContainerType, *corev1.Container) bool) {
		if types&InitContainers != 0 {
			for i := range spec.InitContainers {
				if !yield(InitContainers, &spec.InitContainers[i]) {
					return
				}
			}
		}
		if types&MainContainers != 0 {
			for i := range spec.Containers {
				if !yield(MainContainers, &spec.Containers[i]) {
					return
				}
			}
		}
		if types&EphemeralContainers != 0 {
			for i := range spec.EphemeralContainers {
				if !yield(EphemeralContainers, (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon)) {
					return
				}
			}
		}
	}
}

// FindContainer returns the container of that name and its type; nil if the pod has none.
func FindContainer(spec *corev1.PodSpec, name string) (*corev1.Container, ContainerType) {
	for t, c := range Containers(spec, AllContainers) {
		if c.Name == name {
			return c, t
		}
	}
	return nil, 0
}

// Target is the container whose processes an ephemeral container of that name is to see;
// "" for its own.
func Target(spec *corev1.PodSpec, name string) string {
	for i := range spec.EphemeralContainers {
		if c := &spec.EphemeralContainers[i]; c.Name == name {
			return c.TargetContainerName
		}
	}
	return ""
}

// IsSidecar reports whether an init container runs beside the main containers:
// whether it is restartable. https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
func IsSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// HostPorts are the node's ports that a pod takes while it runs: those of its main
// containers and sidecars. An empty protocol is returned as TCP; an empty host IP is
// every address of the node.
func HostPorts(spec *corev1.PodSpec) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for t, c := range Containers(spec, InitContainers|MainContainers) {
		if t == InitContainers && !IsSidecar(c) {
			continue
		}
		for _, p := range c.Ports {
			if p.HostPort <= 0 {
				continue
			}
			if p.Protocol == "" {
				p.Protocol = corev1.ProtocolTCP
			}
			out = append(out, p)
		}
	}
	return out
}
