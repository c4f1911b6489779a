package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func selfSubjectRulesReview() kind.Kind {
	return kind.Kind{
		GVK:      authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectRulesReview"),
		Resource: "selfsubjectrulesreviews",

		Review: kind.SelfSubjectRulesReview,
	}
}
