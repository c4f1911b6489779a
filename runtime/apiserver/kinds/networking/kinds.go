// Package networking holds the kinds of networking.k8s.io.
package networking

import "github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"

// Kinds are the rows of the group.
func Kinds() []kind.Kind {
	return []kind.Kind{
		networkPolicy(),
		ingress(),
		ingressClass(),
	}
}
