package storage

import "github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"

// Kinds are the rows of the group.
func Kinds() []kind.Kind {
	return []kind.Kind{
		storageClass(),
		csiDriver(),
		csiNode(),
		volumeAttachment(),
		volumeAttributesClass(),
		csiStorageCapacity(),
	}
}
