// Package batch holds the kinds of batch. It imports core for the pod
// templates.
package batch

import "github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"

// Kinds are the rows of the group.
func Kinds() []kind.Kind {
	return []kind.Kind{
		job(),
		cronJob(),
	}
}
