// Package authorization holds the kinds of authorization.k8s.io: questions, which are
// answered and not stored.
package authorization

import "github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"

// Kinds are the rows of the group.
func Kinds() []kind.Kind {
	return []kind.Kind{
		subjectAccessReview(),
		localSubjectAccessReview(),
		selfSubjectAccessReview(),
		selfSubjectRulesReview(),
	}
}
