package core

import "github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"

// Pod is the row of pods, for who reads them from elsewhere than a request.
func Pod() kind.Kind { return pod() }

// Kinds are the rows of the group.
func Kinds() []kind.Kind {
	return []kind.Kind{
		pod(),
		podTemplate(),
		replicationController(),
		namespace(),
		node(),
		service(),
		endpoints(),
		configMap(),
		secret(),
		serviceAccount(),
		persistentVolume(),
		persistentVolumeClaim(),
		limitRange(),
		resourceQuota(),
		event(),
		binding(),
		componentStatus(),
	}
}
