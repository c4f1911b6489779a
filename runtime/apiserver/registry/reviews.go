package registry

import (
	"context"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Review is a resource that is never stored: a question comes as an object, and
// goes back with the answer in its status.
type Review struct {
	singular   string
	namespaced bool
	empty      func() runtime.Object
	answer     func(ctx context.Context, obj runtime.Object) error
}

var (
	_ rest.Creater              = &Review{}
	_ rest.Scoper               = &Review{}
	_ rest.SingularNameProvider = &Review{}
)

// New returns an empty question.
func (r *Review) New() runtime.Object { return r.empty() }

// Destroy does nothing: there is no storage.
func (r *Review) Destroy() {}

// NamespaceScoped tells whether questions are asked in a namespace.
func (r *Review) NamespaceScoped() bool { return r.namespaced }

// GetSingularName is the resource's name for one.
func (r *Review) GetSingularName() string { return r.singular }

// Create answers a question.
func (r *Review) Create(ctx context.Context, obj runtime.Object, admit rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if admit != nil {
		if err := admit(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	return obj, r.answer(ctx, obj)
}

func review[T runtime.Object](singular string, namespaced bool, empty T, answer func(context.Context, T) error) *Review {
	return &Review{
		singular: singular, namespaced: namespaced,
		empty: func() runtime.Object { return empty.DeepCopyObject() },
		answer: func(ctx context.Context, obj runtime.Object) error {
			t, ok := obj.(T)
			if !ok {
				return errors.NewBadRequest(fmt.Sprintf("a %T is expected, not a %T", empty, obj))
			}
			return answer(ctx, t)
		},
	}
}

// SubjectAccessReviews asks whether anyone may do something.
func SubjectAccessReviews(a authorizer.UnconditionalAuthorizer) *Review {
	return review("subjectaccessreview", false, &authorizationv1.SubjectAccessReview{}, func(ctx context.Context, r *authorizationv1.SubjectAccessReview) error {
		return decide(ctx, a, &r.Spec, &r.Status)
	})
}

// LocalSubjectAccessReviews asks the same within one namespace.
func LocalSubjectAccessReviews(a authorizer.UnconditionalAuthorizer) *Review {
	return review("localsubjectaccessreview", true, &authorizationv1.LocalSubjectAccessReview{}, func(ctx context.Context, r *authorizationv1.LocalSubjectAccessReview) error {
		ns := genericapirequest.NamespaceValue(ctx)
		if r.Spec.ResourceAttributes == nil {
			return errors.NewBadRequest("spec.resourceAttributes: required in a LocalSubjectAccessReview")
		}
		if r.Spec.ResourceAttributes.Namespace == "" {
			r.Spec.ResourceAttributes.Namespace = ns
		}
		if r.Spec.ResourceAttributes.Namespace != ns {
			return errors.NewBadRequest(fmt.Sprintf("spec.resourceAttributes.namespace: must be %s", ns))
		}
		return decide(ctx, a, &r.Spec, &r.Status)
	})
}

// SelfSubjectAccessReviews asks whether the asking user may do something.
func SelfSubjectAccessReviews(a authorizer.UnconditionalAuthorizer) *Review {
	return review("selfsubjectaccessreview", false, &authorizationv1.SelfSubjectAccessReview{}, func(ctx context.Context, r *authorizationv1.SelfSubjectAccessReview) error {
		u, err := requestUser(ctx)
		if err != nil {
			return err
		}
		return decideFor(ctx, a, u, r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes, &r.Status)
	})
}

func decide(ctx context.Context, a authorizer.UnconditionalAuthorizer, spec *authorizationv1.SubjectAccessReviewSpec, status *authorizationv1.SubjectAccessReviewStatus) error {
	if spec.User == "" && len(spec.Groups) == 0 {
		return errors.NewBadRequest("spec: at least one of user or groups must be specified")
	}
	extra := map[string][]string{}
	for k, v := range spec.Extra {
		extra[k] = v
	}
	u := &user.DefaultInfo{Name: spec.User, Groups: spec.Groups, UID: spec.UID, Extra: extra}
	return decideFor(ctx, a, u, spec.ResourceAttributes, spec.NonResourceAttributes, status)
}

func decideFor(ctx context.Context, a authorizer.UnconditionalAuthorizer, u user.Info, r *authorizationv1.ResourceAttributes, n *authorizationv1.NonResourceAttributes, status *authorizationv1.SubjectAccessReviewStatus) error {
	if (r == nil) == (n == nil) {
		return errors.NewBadRequest("spec: exactly one of resourceAttributes and nonResourceAttributes must be specified")
	}
	attrs := authorizer.AttributesRecord{User: u}
	if r != nil {
		attrs.ResourceRequest = true
		attrs.Verb, attrs.Namespace, attrs.Name = r.Verb, r.Namespace, r.Name
		attrs.APIGroup, attrs.APIVersion, attrs.Resource, attrs.Subresource = r.Group, r.Version, r.Resource, r.Subresource
		if err := selected(&attrs, r); err != nil {
			return err
		}
	} else {
		attrs.Verb, attrs.Path = n.Verb, n.Path
	}
	decision, reason, err := a.Authorize(ctx, attrs)
	*status = authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow, Denied: decision == authorizer.DecisionDeny, Reason: reason,
	}
	if err != nil {
		status.EvaluationError = err.Error()
	}
	return nil
}

func requestUser(ctx context.Context) (user.Info, error) {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, errors.NewBadRequest("no user is present on the request")
	}
	return u, nil
}

// SelfSubjectRulesReviews lists what the asking user may do in a namespace.
func SelfSubjectRulesReviews(resolver authorizer.RuleResolver) *Review {
	return review("selfsubjectrulesreview", false, &authorizationv1.SelfSubjectRulesReview{}, func(ctx context.Context, r *authorizationv1.SelfSubjectRulesReview) error {
		u, err := requestUser(ctx)
		if err != nil {
			return err
		}
		if r.Spec.Namespace == "" {
			return errors.NewBadRequest("spec.namespace: required")
		}
		resources, paths, incomplete, err := resolver.RulesFor(ctx, u, r.Spec.Namespace)
		r.Status = authorizationv1.SubjectRulesReviewStatus{
			Incomplete: incomplete, ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{},
		}
		if err != nil {
			r.Status.EvaluationError = err.Error()
		}
		for _, x := range resources {
			r.Status.ResourceRules = append(r.Status.ResourceRules, authorizationv1.ResourceRule{
				Verbs: x.GetVerbs(), APIGroups: x.GetAPIGroups(), Resources: x.GetResources(), ResourceNames: x.GetResourceNames(),
			})
		}
		for _, x := range paths {
			r.Status.NonResourceRules = append(r.Status.NonResourceRules, authorizationv1.NonResourceRule{Verbs: x.GetVerbs(), NonResourceURLs: x.GetNonResourceURLs()})
		}
		return nil
	})
}

// SelfSubjectReviews tells the asking user who they are.
func SelfSubjectReviews() *Review {
	return review("selfsubjectreview", false, &authenticationv1.SelfSubjectReview{}, func(ctx context.Context, r *authenticationv1.SelfSubjectReview) error {
		u, err := requestUser(ctx)
		if err != nil {
			return err
		}
		r.Status.UserInfo = userInfo(u)
		return nil
	})
}

// TokenReviews tells whose a token is.
func TokenReviews(tokens authenticator.Token, audiences authenticator.Audiences) *Review {
	return review("tokenreview", false, &authenticationv1.TokenReview{}, func(ctx context.Context, r *authenticationv1.TokenReview) error {
		if r.Spec.Token == "" {
			return errors.NewBadRequest("spec.token: required")
		}
		wanted := authenticator.Audiences(r.Spec.Audiences)
		if len(wanted) == 0 {
			wanted = audiences
		}
		resp, ok, err := tokens.AuthenticateToken(authenticator.WithAudiences(ctx, wanted), r.Spec.Token)
		r.Status = authenticationv1.TokenReviewStatus{Authenticated: ok}
		if err != nil {
			r.Status.Error = err.Error()
		}
		if ok {
			r.Status.User, r.Status.Audiences = userInfo(resp.User), resp.Audiences
			// As a request with the token has.
			if g := r.Status.User.Groups; r.Status.User.Username != user.Anonymous && !slices.Contains(g, user.AllAuthenticated) {
				r.Status.User.Groups = append(slices.Clone(g), user.AllAuthenticated)
			}
		}
		return nil
	})
}

func userInfo(u user.Info) authenticationv1.UserInfo {
	out := authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	for k, v := range u.GetExtra() {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[k] = v
	}
	return out
}
