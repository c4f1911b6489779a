package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gantry-run/gantry/runtime/apiserver/tokens"
)

// Life of service account tokens.
const (
	defaultTokenLife = time.Hour
	minTokenLife     = 10 * time.Minute
	maxTokenLife     = 24 * time.Hour
)

// Token is serviceaccounts/token: it signs a token for the account, bound to a
// pod, node or secret where the request names one.
type Token struct {
	accounts, pods, nodes, secrets *Store
	issuer                         *tokens.Issuer
	audience                       string
}

var (
	_ rest.NamedCreater                   = &Token{}
	_ rest.GroupVersionKindProvider       = &Token{}
	_ rest.SubresourceObjectMetaPreserver = &Token{}
)

// NewToken returns the subresource. audience is what a token is good for that
// asks for none.
func NewToken(accounts, pods, nodes, secrets *Store, issuer *tokens.Issuer, audience string) *Token {
	return &Token{accounts, pods, nodes, secrets, issuer, audience}
}

// GroupVersionKind is that of the request.
func (r *Token) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate keeps the UID of the account
// that the request is for, so that it gets no token of a later one of the same name.
func (r *Token) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// New returns an empty request.
func (r *Token) New() runtime.Object { return &authenticationv1.TokenRequest{} }

// Destroy does nothing: the storage belongs to others.
func (r *Token) Destroy() {}

// Create answers a request with a token in its status.
func (r *Token) Create(ctx context.Context, name string, obj runtime.Object, admit rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	req, ok := obj.(*authenticationv1.TokenRequest)
	if !ok {
		return nil, errors.NewBadRequest(fmt.Sprintf("a TokenRequest is expected, not a %T", obj))
	}
	if admit != nil {
		if err := admit(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	namespace := genericapirequest.NamespaceValue(ctx)
	if errs := validateTokenRequest(req, namespace, name); len(errs) > 0 {
		return nil, errors.NewInvalid(authenticationv1.SchemeGroupVersion.WithKind("TokenRequest").GroupKind(), req.Name, errs)
	}
	sa, err := Read[*corev1.ServiceAccount](ctx, r.accounts, namespace, name, Fresh)
	if err != nil {
		return nil, err
	}
	if req.UID != "" && req.UID != sa.UID {
		return nil, errors.NewConflict(schema.GroupResource{Group: authenticationv1.GroupName, Resource: "TokenRequest"}, name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", req.UID, sa.UID))
	}
	out := req.DeepCopy()
	rest.FillObjectMetaSystemFields(out)
	out.Name, out.Namespace = sa.Name, sa.Namespace
	if len(out.Spec.Audiences) == 0 {
		out.Spec.Audiences = []string{r.audience}
	}
	life := defaultTokenLife
	if s := out.Spec.ExpirationSeconds; s != nil {
		life = time.Duration(*s) * time.Second
	}
	life = min(life, maxTokenLife)
	seconds := int64(life.Seconds())
	out.Spec.ExpirationSeconds = &seconds

	binding := tokens.Binding{Namespace: namespace, ServiceAccount: tokens.Ref{Name: sa.Name, UID: string(sa.UID)}}
	if err := r.bind(ctx, &binding, out.Spec.BoundObjectRef); err != nil {
		return nil, err
	}
	now := time.Now()
	expires := now.Add(life)
	// Only who asks masters with it can be told that it is old.
	if slices.Equal(out.Spec.Audiences, []string{r.audience}) {
		binding.WarnAfter = jwt.NewNumericDate(now.Add(life * 4 / 5))
	}
	out.Status.Token, err = r.issuer.Issue(binding, serviceaccount.MakeUsername(namespace, name), out.Spec.Audiences, now, expires, string(uuid.NewUUID()))
	if err != nil {
		return nil, errors.NewInternalError(fmt.Errorf("sign a token: %w", err))
	}
	out.Status.ExpirationTimestamp = metav1.NewTime(expires)
	return out, nil
}

func validateTokenRequest(r *authenticationv1.TokenRequest, namespace, name string) field.ErrorList {
	var errs field.ErrorList
	metadata, spec := field.NewPath("metadata"), field.NewPath("spec")
	if r.Name != "" && r.Name != name {
		errs = append(errs, field.Invalid(metadata.Child("name"), r.Name, "must match the service account name if specified"))
	}
	if r.Namespace != "" && r.Namespace != namespace {
		errs = append(errs, field.Invalid(metadata.Child("namespace"), r.Namespace, "must match the service account namespace if specified"))
	}
	if s := r.Spec.ExpirationSeconds; s != nil {
		if *s < int64(minTokenLife.Seconds()) {
			errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), *s, "may not specify a duration less than 10 minutes"))
		}
		if *s > 1<<32 {
			errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), *s, "may not specify a duration larger than 2^32 seconds"))
		}
	}
	if len(r.Spec.Attestations) > 0 {
		errs = append(errs, field.Invalid(spec.Child("attestations"), r.Spec.Attestations, "attestations may only be specified with a webhook bound object reference"))
	}
	return errs
}

// bind ties the token to the object the request names, which must exist.
func (r *Token) bind(ctx context.Context, b *tokens.Binding, ref *authenticationv1.BoundObjectReference) error {
	if ref == nil {
		return nil
	}
	match := func(uid types.UID) error {
		if ref.UID != "" && ref.UID != uid {
			return errors.NewConflict(schema.GroupResource{Resource: ref.Kind}, ref.Name, fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record (%s)", ref.UID, uid))
		}
		return nil
	}
	kind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	if kind.Group != "" {
		return errors.NewBadRequest(fmt.Sprintf("cannot bind token to object of type %s", kind))
	}
	switch kind.Kind {
	case "Pod":
		pod, err := Read[*corev1.Pod](ctx, r.pods, b.Namespace, ref.Name, Fresh)
		if err != nil {
			return err
		}
		if pod.Spec.ServiceAccountName != b.ServiceAccount.Name {
			return errors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", b.ServiceAccount.Name))
		}
		b.Pod = &tokens.Ref{Name: pod.Name, UID: string(pod.UID)}
		if pod.Spec.NodeName != "" {
			b.Node = &tokens.Ref{Name: pod.Spec.NodeName}
			if node, err := Read[*corev1.Node](ctx, r.nodes, "", pod.Spec.NodeName, Cached); err == nil {
				b.Node.UID = string(node.UID)
			}
		}
		return match(pod.UID)
	case "Node":
		node, err := Read[*corev1.Node](ctx, r.nodes, "", ref.Name, Fresh)
		if err != nil {
			return err
		}
		b.Node = &tokens.Ref{Name: node.Name, UID: string(node.UID)}
		return match(node.UID)
	case "Secret":
		secret, err := Read[*corev1.Secret](ctx, r.secrets, b.Namespace, ref.Name, Fresh)
		if err != nil {
			return err
		}
		b.Secret = &tokens.Ref{Name: secret.Name, UID: string(secret.UID)}
		return match(secret.UID)
	}
	return errors.NewBadRequest(fmt.Sprintf("cannot bind token to object of type %s", kind))
}
