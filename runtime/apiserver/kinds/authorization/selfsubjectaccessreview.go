package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func selfSubjectAccessReview() kind.Kind {
	return kind.Kind{
		GVK:      authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"),
		Resource: "selfsubjectaccessreviews",

		Review: kind.SelfSubjectAccessReview,
	}
}
