package authentication

import (
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func selfSubjectReview() kind.Kind {
	return kind.Kind{
		GVK:      authenticationv1.SchemeGroupVersion.WithKind("SelfSubjectReview"),
		Resource: "selfsubjectreviews",

		Review: kind.SelfSubjectReview,
	}
}
