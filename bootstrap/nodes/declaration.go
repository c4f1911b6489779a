package nodes

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// HostAnnotation keeps on the Node what was declared of its host: how it is reached
// and which labels are its own. An import makes the declaration of it again.
const HostAnnotation = "gantry.run/host"

// Declaration is the content of the annotation: the host, and the settings of its
// processes. Host keys are no part of it: who may write a Node must not vouch for a
// host.
type Declaration struct {
	spec.Host
	Kubelet           spec.Kubelet           `json:"kubelet,omitzero"`
	ControllerManager spec.ControllerManager `json:"controllerManager,omitzero"`
}

// DeclarationOf is the annotation of a Node.
func DeclarationOf(n spec.Node) string {
	d := Declaration{n.Host, n.Kubelet, n.ControllerManager}
	d.SSH.HostKey = ""
	data, _ := json.Marshal(d) // strings and numbers
	return string(data)
}

// declare keeps the declaration on the Node, and reports whether it was another. It
// is no drift: how a host is reached decides nothing on it.
func declare(n *corev1.Node, want spec.Node) bool {
	if n.Annotations[HostAnnotation] == DeclarationOf(want) {
		return false
	}
	if n.Annotations == nil {
		n.Annotations = map[string]string{}
	}
	n.Annotations[HostAnnotation] = DeclarationOf(want)
	return true
}

// Declared is the host behind a Node, as it was declared. One that was joined
// before declarations were kept is known by its address in the cluster only.
func Declared(n *corev1.Node) Declaration {
	var d Declaration
	if json.Unmarshal([]byte(n.Annotations[HostAnnotation]), &d) != nil || d.Address == "" {
		d = Declaration{Host: spec.Host{Address: InternalIP(n)}}
	}
	d.Name, d.SSH.HostKey = n.Name, ""
	return d
}
