package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/pod"
)

// nodePorts keeps pods apart that ask for the same port of their node.
type nodePorts struct{ conflict *framework.Status }

func newNodePorts() *nodePorts {
	pl := &nodePorts{}
	pl.conflict = reject(pl.Name(), framework.Unschedulable, "node(s) didn't have free ports for the requested pod ports")
	return pl
}

// hostPort is a port of a node as a pod claims it.
type hostPort struct {
	ip       string // anyIP: all of the node's addresses
	protocol corev1.Protocol
	port     int32
}

const anyIP = "0.0.0.0"

// conflicts says whether two pods cannot have these ports on one node.
func (a hostPort) conflicts(b hostPort) bool {
	return a.port == b.port && a.protocol == b.protocol && (a.ip == b.ip || a.ip == anyIP || b.ip == anyIP)
}

func hostPortsOf(p *corev1.Pod) []hostPort {
	var out []hostPort
	for _, port := range pod.HostPorts(&p.Spec) {
		h := hostPort{ip: port.HostIP, protocol: port.Protocol, port: port.HostPort}
		if h.ip == "" {
			h.ip = anyIP
		}
		out = append(out, h)
	}
	return out
}

func (*nodePorts) Name() string { return "NodePorts" }

func (*nodePorts) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		nodeEvent(framework.Add, func(*PodInfo, *corev1.Node) bool { return true }),
		podEvent(framework.Delete, func(p, old, _ *PodInfo) bool {
			if old == nil {
				return false
			}
			for _, want := range p.hostPorts {
				for _, freed := range old.hostPorts {
					if want.conflicts(freed) {
						return true
					}
				}
			}
			return false
		}),
	}
}

func (*nodePorts) PreFilter(_ *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	if len(p.hostPorts) == 0 {
		return nil, nil, skip()
	}
	return nil, nil, nil
}

func (pl *nodePorts) Filter(_ State, p *PodInfo, n *NodeInfo) *framework.Status {
	for _, want := range p.hostPorts {
		for used := range n.usedPorts {
			if want.conflicts(used) {
				return pl.conflict
			}
		}
	}
	return nil
}
