package bootstrap

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// hostAnnotation keeps on the Node what was declared of its host: how it is reached
// and which labels are its own. An import makes the declaration of it again.
const hostAnnotation = "gantry.run/host"

// declaration is the content of the annotation. Host keys are no part of it: who
// may write a Node must not vouch for a host.
func declaration(h spec.Host) string {
	h.SSH.HostKey = ""
	data, _ := json.Marshal(h) // strings and a number
	return string(data)
}

// declare keeps the declaration on the Node, and reports whether it was another. It
// is no drift: how a host is reached decides nothing on it.
func declare(n *corev1.Node, h spec.Host) bool {
	if n.Annotations[hostAnnotation] == declaration(h) {
		return false
	}
	if n.Annotations == nil {
		n.Annotations = map[string]string{}
	}
	n.Annotations[hostAnnotation] = declaration(h)
	return true
}

// declared is the host behind a Node, as it was declared. One that was joined
// before declarations were kept is known by its address in the cluster only.
func declared(n *corev1.Node) spec.Host {
	var h spec.Host
	if json.Unmarshal([]byte(n.Annotations[hostAnnotation]), &h) != nil || h.Address == "" {
		h = spec.Host{Address: internalIP(n)}
	}
	h.Name, h.SSH.HostKey = n.Name, ""
	return h
}

func internalIP(n *corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}
