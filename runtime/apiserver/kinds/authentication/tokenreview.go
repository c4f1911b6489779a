package authentication

import (
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func tokenReview() kind.Kind {
	return kind.Kind{
		GVK:      authenticationv1.SchemeGroupVersion.WithKind("TokenReview"),
		Resource: "tokenreviews",

		Review: kind.TokenReview,
	}
}
