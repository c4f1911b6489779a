package bootstrap

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// hostAnnotation keeps on the Node what was declared of its host: how it is reached
// and which labels are its own. An import makes the declaration of it again.
const hostAnnotation = "gantry.run/host"

// declaration is the content of the annotation: the host, and the settings of its
// processes. Host keys are no part of it: who may write a Node must not vouch for a
// host.
type declaration struct {
	spec.Host
	Kubelet           spec.Kubelet           `json:"kubelet,omitzero"`
	ControllerManager spec.ControllerManager `json:"controllerManager,omitzero"`
}

func declarationOf(n spec.Node) string {
	d := declaration{n.Host, n.Kubelet, n.ControllerManager}
	d.SSH.HostKey = ""
	data, _ := json.Marshal(d) // strings and numbers
	return string(data)
}

// declare keeps the declaration on the Node, and reports whether it was another. It
// is no drift: how a host is reached decides nothing on it.
func declare(n *corev1.Node, want spec.Node) bool {
	if n.Annotations[hostAnnotation] == declarationOf(want) {
		return false
	}
	if n.Annotations == nil {
		n.Annotations = map[string]string{}
	}
	n.Annotations[hostAnnotation] = declarationOf(want)
	return true
}

// declared is the host behind a Node, as it was declared. One that was joined
// before declarations were kept is known by its address in the cluster only.
func declared(n *corev1.Node) declaration {
	var d declaration
	if json.Unmarshal([]byte(n.Annotations[hostAnnotation]), &d) != nil || d.Address == "" {
		d = declaration{Host: spec.Host{Address: internalIP(n)}}
	}
	d.Name, d.SSH.HostKey = n.Name, ""
	return d
}

func internalIP(n *corev1.Node) string { return addressOf(n, corev1.NodeInternalIP) }

func addressOf(n *corev1.Node, kind corev1.NodeAddressType) string {
	for _, a := range n.Status.Addresses {
		if a.Type == kind {
			return a.Address
		}
	}
	return ""
}
