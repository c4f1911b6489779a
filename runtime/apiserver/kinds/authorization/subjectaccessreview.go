package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func subjectAccessReview() kind.Kind {
	return kind.Kind{
		GVK:      authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview"),
		Resource: "subjectaccessreviews",

		Review: kind.SubjectAccessReview,
	}
}
