// Package events holds the kinds of events.k8s.io. Its one kind is stored as
// the core group's: it imports core.
package events

import "github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"

// Kinds are the rows of the group.
func Kinds() []kind.Kind {
	return []kind.Kind{
		event(),
	}
}
