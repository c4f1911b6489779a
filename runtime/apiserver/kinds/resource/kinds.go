package resource

import "github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"

// Kinds are the rows of the group.
func Kinds() []kind.Kind {
	return []kind.Kind{
		deviceClass(),
		deviceTaintRule(),
		resourceClaim(),
		resourceClaimTemplate(),
		resourceSlice(),
	}
}
