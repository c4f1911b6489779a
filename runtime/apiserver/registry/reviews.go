package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
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
	check      func(obj runtime.Object) field.ErrorList
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
	if r.check != nil {
		if errs := r.check(obj); len(errs) > 0 {
			// As upstream, which has forgotten the kind by then.
			return nil, errors.NewInvalid(schema.GroupKind{Group: authorizationv1.GroupName}, "", errs)
		}
	}
	if admit != nil {
		if err := admit(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	return obj, r.answer(ctx, obj)
}

// checked adds what a question is held to.
func checked[T runtime.Object](r *Review, check func(T) field.ErrorList) *Review {
	r.check = func(obj runtime.Object) field.ErrorList { return check(obj.(T)) }
	return r
}

// noMetadata: a question has none; local ones have their namespace.
func noMetadata(m metav1.ObjectMeta, local bool) field.ErrorList {
	m.ManagedFields = nil
	but := ""
	if local {
		m.Namespace, but = "", " except for namespace"
	}
	if equality.Semantic.DeepEqual(metav1.ObjectMeta{}, m) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata"), m, "must be empty"+but)}
}

// oneQuestion: a review is about a resource or about a path.
func oneQuestion(r *authorizationv1.ResourceAttributes, n *authorizationv1.NonResourceAttributes) field.ErrorList {
	var errs field.ErrorList
	if (r == nil) == (n == nil) {
		errs = append(errs, field.Invalid(field.NewPath("spec"), n, "exactly one of nonResourceAttributes or resourceAttributes must be specified"))
	}
	if r == nil {
		return errs
	}
	return append(errs, selectorErrors(r)...)
}

func someone(spec *authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	if spec.User == "" && len(spec.Groups) == 0 {
		return field.ErrorList{field.Invalid(field.NewPath("spec", "user"), spec.User, "at least one of user or group must be specified")}
	}
	return nil
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
	r := review("subjectaccessreview", false, &authorizationv1.SubjectAccessReview{}, func(ctx context.Context, r *authorizationv1.SubjectAccessReview) error {
		return decide(ctx, a, &r.Spec, &r.Status)
	})
	return checked(r, func(r *authorizationv1.SubjectAccessReview) field.ErrorList {
		return slices.Concat(oneQuestion(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes), someone(&r.Spec), noMetadata(r.ObjectMeta, false))
	})
}

// LocalSubjectAccessReviews asks the same within one namespace.
func LocalSubjectAccessReviews(a authorizer.UnconditionalAuthorizer) *Review {
	r := review("localsubjectaccessreview", true, &authorizationv1.LocalSubjectAccessReview{}, func(ctx context.Context, r *authorizationv1.LocalSubjectAccessReview) error {
		if ns := genericapirequest.NamespaceValue(ctx); r.Namespace != ns {
			return errors.NewBadRequest(fmt.Sprintf("spec.resourceAttributes.namespace must match namespace: %v", ns))
		}
		return decide(ctx, a, &r.Spec, &r.Status)
	})
	return checked(r, func(r *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
		errs := slices.Concat(oneQuestion(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes), someone(&r.Spec), noMetadata(r.ObjectMeta, true))
		if x := r.Spec.ResourceAttributes; x != nil && x.Namespace != r.Namespace {
			errs = append(errs, field.Invalid(field.NewPath("spec.resourceAttributes.namespace"), x.Namespace, "must match metadata.namespace"))
		}
		if r.Spec.NonResourceAttributes != nil {
			errs = append(errs, field.Invalid(field.NewPath("spec.nonResourceAttributes"), r.Spec.NonResourceAttributes, "disallowed on this kind of request"))
		}
		return errs
	})
}

// SelfSubjectAccessReviews asks whether the asking user may do something.
func SelfSubjectAccessReviews(a authorizer.UnconditionalAuthorizer) *Review {
	r := review("selfsubjectaccessreview", false, &authorizationv1.SelfSubjectAccessReview{}, func(ctx context.Context, r *authorizationv1.SelfSubjectAccessReview) error {
		u, err := requestUser(ctx)
		if err != nil {
			return err
		}
		return decideFor(ctx, a, u, r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes, &r.Status)
	})
	return checked(r, func(r *authorizationv1.SelfSubjectAccessReview) field.ErrorList {
		return slices.Concat(oneQuestion(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes), noMetadata(r.ObjectMeta, false))
	})
}

func decide(ctx context.Context, a authorizer.UnconditionalAuthorizer, spec *authorizationv1.SubjectAccessReviewSpec, status *authorizationv1.SubjectAccessReviewStatus) error {
	extra := map[string][]string{}
	for k, v := range spec.Extra {
		extra[k] = v
	}
	u := &user.DefaultInfo{Name: spec.User, Groups: spec.Groups, UID: spec.UID, Extra: extra}
	return decideFor(ctx, a, u, spec.ResourceAttributes, spec.NonResourceAttributes, status)
}

func decideFor(ctx context.Context, a authorizer.UnconditionalAuthorizer, u user.Info, r *authorizationv1.ResourceAttributes, n *authorizationv1.NonResourceAttributes, status *authorizationv1.SubjectAccessReviewStatus) error {
	attrs := authorizer.AttributesRecord{User: u}
	if r != nil {
		attrs.ResourceRequest = true
		attrs.Verb, attrs.Namespace, attrs.Name = r.Verb, r.Namespace, r.Name
		attrs.APIGroup, attrs.APIVersion, attrs.Resource, attrs.Subresource = r.Group, r.Version, r.Resource, r.Subresource
		selected(&attrs, r)
	} else {
		attrs.Verb, attrs.Path = n.Verb, n.Path
	}
	decision, reason, err := a.Authorize(ctx, attrs)
	*status = authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow, Denied: decision == authorizer.DecisionDeny, Reason: reason,
	}
	status.EvaluationError = evaluationError(err, &attrs)
	return nil
}

// evaluationError tells what went wrong, and which selectors were not looked at in full.
func evaluationError(err error, attrs *authorizer.AttributesRecord) string {
	var errs []string
	if err != nil {
		errs = append(errs, err.Error())
	}
	ignored := func(name string, parsed int, err error) {
		switch {
		case err != nil && parsed > 0:
			errs = append(errs, "spec.resourceAttributes."+name+" partially ignored due to parse error")
		case err != nil:
			errs = append(errs, "spec.resourceAttributes."+name+" ignored due to parse error")
		}
	}
	ignored("fieldSelector", len(attrs.FieldSelectorRequirements), attrs.FieldSelectorParsingErr)
	ignored("labelSelector", len(attrs.LabelSelectorRequirements), attrs.LabelSelectorParsingErr)
	return strings.Join(errs, "; ")
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
			return errors.NewBadRequest("no namespace on request")
		}
		resources, paths, incomplete, err := resolver.RulesFor(ctx, u, r.Spec.Namespace)
		// The answer repeats nothing of the question.
		r.ObjectMeta, r.Spec = metav1.ObjectMeta{}, authorizationv1.SelfSubjectRulesReviewSpec{}
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
		r.ObjectMeta = metav1.ObjectMeta{CreationTimestamp: metav1.Now()}
		r.Status = authenticationv1.SelfSubjectReviewStatus{UserInfo: userInfo(u)}
		return nil
	})
}

// TokenReviews tells whose a token is.
func TokenReviews(tokens authenticator.Token, audiences authenticator.Audiences) *Review {
	return review("tokenreview", false, &authenticationv1.TokenReview{}, func(ctx context.Context, r *authenticationv1.TokenReview) error {
		if r.Spec.Token == "" {
			return errors.NewBadRequest("token is required for TokenReview in authentication")
		}
		wanted := authenticator.Audiences(r.Spec.Audiences)
		if len(wanted) == 0 {
			wanted = audiences
		}
		resp, ok, err := tokens.AuthenticateToken(authenticator.WithAudiences(ctx, wanted), r.Spec.Token)
		r.Status = authenticationv1.TokenReviewStatus{Authenticated: ok}
		switch {
		case err != nil:
			r.Status.Error = err.Error()
		case !ok:
			// No authenticator knows it, as of a request that bears it.
			r.Status.Error = "invalid bearer token"
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
