package admit

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// NodePorts rejects pods that want a port of the node that another pod has.
type NodePorts struct{}

// Admit implements Handler.
func (NodePorts) Admit(_ context.Context, a Attributes) *Rejection {
	wanted := pod.HostPorts(&a.Pod.Spec)
	if len(wanted) == 0 {
		return nil
	}
	for _, other := range a.Others {
		for _, taken := range pod.HostPorts(&other.Spec) {
			if slices.ContainsFunc(wanted, func(p corev1.ContainerPort) bool { return collide(p, taken) }) {
				return &Rejection{"NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"}
			}
		}
	}
	return nil
}

// collide says whether two host ports are one at some address.
func collide(a, b corev1.ContainerPort) bool {
	return a.HostPort == b.HostPort && a.Protocol == b.Protocol && (a.HostIP == b.HostIP || everywhere(a.HostIP) || everywhere(b.HostIP))
}

func everywhere(ip string) bool { return ip == "" || ip == "0.0.0.0" }
