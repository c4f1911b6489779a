package registry

import (
	"fmt"
	"log/slog"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/services"
	"github.com/gantry-run/gantry/runtime/apiserver/tokens"
)

// Collaborators are what rows name beyond the store of their own kind.
type Collaborators struct {
	// Kubelet dials kubelets as the API server; it speaks HTTP/1.1, since streams
	// are upgraded.
	Kubelet http.RoundTripper
	// Addresses gives Services their cluster IPs and node ports.
	Addresses *services.Allocator
	// Tokens issues those of service accounts, for Audience where a request names
	// none. Verifier knows whose a token is; Audiences are the server's own.
	Tokens    *tokens.Issuer
	Audience  string
	Verifier  authenticator.Token
	Audiences authenticator.Audiences
	// Authorizer and Rules answer the questions about what users may do.
	Authorizer authorizer.UnconditionalAuthorizer
	Rules      authorizer.RuleResolver
	// Components are what ComponentStatuses tell of.
	Components []Component
	Log        *slog.Logger
}

// Binder makes the storages that rows name, bound to their collaborators.
type Binder struct {
	with     Collaborators
	stores   *Stores
	kubelets *Kubelets
	dialer   dialer
	proxy    http.RoundTripper // for pods, Services and ports of nodes

	pods, nodes, secrets, budgets, slices *Store
}

// NewBinder returns a binder for the kinds that are stored in stores. It says
// which kinds are missing that subresources of others need.
func NewBinder(stores *Stores, with Collaborators) (*Binder, error) {
	b := &Binder{with: with, stores: stores}
	for _, err := range []error{
		Find[*corev1.Pod](stores, &b.pods), Find[*corev1.Node](stores, &b.nodes), Find[*corev1.Secret](stores, &b.secrets),
		Find[*policyv1.PodDisruptionBudget](stores, &b.budgets), Find[*discoveryv1.EndpointSlice](stores, &b.slices),
	} {
		if err != nil {
			return nil, err
		}
	}
	b.kubelets = NewKubelets(b.nodes, with.Kubelet)
	b.dialer = newDialer(b.slices, with.Addresses.IsServiceAddress)
	b.proxy = b.dialer.transport()
	return b, nil
}

// Bind returns what serves a kind, by its path below the group version.
func (b *Binder) Bind(k kind.Kind) (map[string]rest.Storage, error) {
	if k.Review != kind.NoReview {
		r, err := b.review(k)
		return map[string]rest.Storage{k.Resource: r}, err
	}
	if k.Storage == kind.Components {
		return map[string]rest.Storage{k.Resource: NewComponentStatuses(k, b.with.Components)}, nil
	}
	s := b.stores.byKind[k.GVK.GroupKind()]
	objects, err := b.objects(s, k)
	if err != nil {
		return nil, err
	}
	out := map[string]rest.Storage{k.Resource: objects}
	if k.Status {
		out[k.Resource+"/status"] = s.Status()
	}
	if k.Scale != nil {
		out[k.Resource+"/scale"] = s.Scale()
	}
	for _, sub := range k.Subresources {
		served, err := b.subresource(s, sub)
		if err != nil {
			return nil, fmt.Errorf("kind %s: subresource %s: %w", k.GVK, sub.Name, err)
		}
		out[k.Resource+"/"+sub.Name] = served
	}
	return out, nil
}

// objects is what serves the objects themselves. It changes s, whose copies serve
// the subresources that are written like the object.
func (b *Binder) objects(s *Store, k kind.Kind) (rest.Storage, error) {
	switch k.Storage {
	case kind.Generic:
		return s, nil
	case kind.FinalizedBySpec:
		return NewNamespaces(s), nil
	case kind.WithAddresses:
		AllocateServices(s, b.with.Addresses, b.with.Log)
		return s, nil
	}
	return nil, fmt.Errorf("kind %s: there is no storage %q", k.GVK, k.Storage)
}

func (b *Binder) subresource(s *Store, sub kind.Subresource) (rest.Storage, error) {
	switch sub.Served {
	case kind.Approval:
		return NewApproval(s, sub.Validate), nil
	case kind.Finalize:
		return NewFinalize(s), nil
	case kind.EphemeralContainers:
		return NewEphemeralContainers(s), nil
	case kind.PodResize:
		return NewResize(s, sub), nil
	case kind.PodBinding:
		return NewBinding(s), nil
	case kind.PodEviction:
		return NewEviction(s, b.budgets), nil
	case kind.PodLog:
		return NewLog(s, b.kubelets), nil
	case kind.PodExec:
		return NewExec(s, b.kubelets, b.with.Authorizer), nil
	case kind.PodAttach:
		return NewAttach(s, b.kubelets, b.with.Authorizer), nil
	case kind.PodPortForward:
		return NewPortForward(s, b.kubelets, b.with.Authorizer), nil
	case kind.PodProxy:
		return NewPodProxy(s, b.dialer, b.proxy), nil
	case kind.ServiceProxy:
		return NewServiceProxy(s, b.pods, b.slices, b.dialer, b.proxy), nil
	case kind.NodeProxy:
		return NewNodeProxy(b.kubelets, b.dialer, b.proxy, b.with.Authorizer), nil
	case kind.AccountToken:
		return NewToken(s, b.pods, b.nodes, b.secrets, b.with.Tokens, b.with.Audience), nil
	}
	return nil, fmt.Errorf("nothing serves %q", sub.Served)
}

func (b *Binder) review(k kind.Kind) (rest.Storage, error) {
	switch k.Review {
	case kind.TokenReview:
		return TokenReviews(b.with.Verifier, b.with.Audiences), nil
	case kind.SelfSubjectReview:
		return SelfSubjectReviews(), nil
	case kind.SubjectAccessReview:
		return SubjectAccessReviews(b.with.Authorizer), nil
	case kind.LocalSubjectAccessReview:
		return LocalSubjectAccessReviews(b.with.Authorizer), nil
	case kind.SelfSubjectAccessReview:
		return SelfSubjectAccessReviews(b.with.Authorizer), nil
	case kind.SelfSubjectRulesReview:
		return SelfSubjectRulesReviews(b.with.Rules), nil
	case kind.Bindings:
		return NewBindings(b.pods), nil
	}
	return nil, fmt.Errorf("kind %s: nobody answers %q", k.GVK, k.Review)
}
