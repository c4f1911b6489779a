package apiserver

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserverapi "k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	unionauthn "k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/union"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"github.com/gantry-run/gantry/runtime/apiserver/authentication"
	"github.com/gantry-run/gantry/runtime/apiserver/nodeauth"
	"github.com/gantry-run/gantry/runtime/apiserver/rbac"
	"github.com/gantry-run/gantry/runtime/apiserver/tokens"
	"github.com/gantry-run/gantry/runtime/config"
)

// tokenCacheTTL is how long a verified token is believed without another look at
// its pod and service account.
const tokenCacheTTL = 10 * time.Second

// publicPaths are those on which nobody has to say who they are: then they are
// system:anonymous, of the group system:unauthenticated, and may do what RBAC says of
// these. Everywhere else they are not let in.
func publicPaths() []string {
	return []string{
		"/healthz", "/livez", "/readyz", "/version", "/version/",
		tokens.ConfigurationPath, tokens.KeysPath,
	}
}

// tokenKeys reads the keys that sign and verify service account tokens.
func tokenKeys(c config.ServiceAccount) (crypto.Signer, []tokens.Key, error) {
	data, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("service account signing key: %w", err)
	}
	signer, err := tokens.ParsePrivateKey(data)
	if err != nil {
		return nil, nil, fmt.Errorf("service account signing key %s: %w", c.KeyFile, err)
	}
	var keys []tokens.Key
	for _, f := range c.PublicKeyFiles {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, nil, fmt.Errorf("service account public key: %w", err)
		}
		k, err := tokens.ParsePublicKeys(data)
		if err != nil {
			return nil, nil, fmt.Errorf("service account public key %s: %w", f, err)
		}
		keys = append(keys, k...)
	}
	return signer, keys, nil
}

// authenticate sets who is who: the aggregator's headers, client certificates,
// tokens, and anyone on the public paths.
func (s *Server) authenticate(ctx context.Context, a *assembly, verifier authenticator.Token) error {
	cfg := &a.generic.Config
	cfg.Authentication.APIAudiences = authenticator.Audiences{s.cfg.ServiceAccount.Issuer}
	var err error
	if a.tokens, err = s.tokens(ctx, a, verifier); err != nil {
		return err
	}
	token := cache.New(a.tokens, false, tokenCacheTTL, 0)
	clientCA, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca", s.cfg.ClientCAFile)
	if err != nil {
		return fmt.Errorf("client CA: %w", err)
	}
	chain := []authenticator.Request{
		newRememberCertificates(x509.NewDynamic(clientCA.VerifyOptions, x509.CommonNameUserConversion)),
		bearertoken.New(token),
		websocket.NewProtocolAuthenticator(token),
	}
	if s.cfg.FrontProxy.CAFile != "" {
		headers, err := frontProxy(s.cfg.FrontProxy.CAFile)
		if err != nil {
			return err
		}
		cfg.Authentication.RequestHeaderConfig = headers
		// A certificate of the front proxy is no identity of its own: it is asked first.
		chain = append([]authenticator.Request{headerrequest.NewDynamicVerifyOptionsSecure(
			headers.CAContentProvider.VerifyOptions, headers.AllowedClientNames,
			headers.UsernameHeaders, headers.UIDHeaders, headers.GroupHeaders, headers.ExtraHeaderPrefixes,
		)}, chain...)
	}
	cfg.Authentication.Authenticator = withAnonymous(group.NewAuthenticatedGroupAdder(unionauthn.New(chain...)), a.issuers)
	return nil
}

// tokens knows bearer tokens. What is verified here comes before what another server
// is asked about.
func (s *Server) tokens(ctx context.Context, a *assembly, verifier authenticator.Token) (authenticator.Token, error) {
	audiences := a.generic.Authentication.APIAudiences
	bootstrap := authentication.NewBootstrapTokens(func(ctx context.Context, name string) (*corev1.Secret, error) {
		return readThrough[*corev1.Secret](ctx, a.objects.secrets, metav1.NamespaceSystem, name)
	}, time.Now)
	known := []authenticator.Token{verifier, authenticator.WrapAudienceAgnosticToken(audiences, bootstrap)}
	if file := s.cfg.AuthenticationConfigFile; file != "" {
		issuers, err := authentication.NewIssuers(ctx, file, authentication.Options{
			Audiences: audiences, OwnIssuers: []string{s.cfg.ServiceAccount.Issuer}, ServerID: a.generic.APIServerID, Log: s.log,
		})
		if err != nil {
			return nil, err
		}
		a.issuers = issuers
		known = append(known, issuers)
	}
	if file := s.cfg.TokenWebhook.ConfigFile; file != "" {
		reviewer, err := authentication.NewReviewer(file, audiences, s.cfg.TokenWebhook.CacheTTL.Duration)
		if err != nil {
			return nil, err
		}
		known = append(known, reviewer)
	}
	return tokenunion.New(known...), nil
}

// withAnonymous lets those in who bring nothing: as the file says, or on the public
// paths.
func withAnonymous(known authenticator.Request, issuers *authentication.Issuers) authenticator.Request {
	var open []apiserverapi.AnonymousAuthCondition
	for _, p := range publicPaths() {
		open = append(open, apiserverapi.AnonymousAuthCondition{Path: p})
	}
	if issuers != nil && issuers.Anonymous != nil {
		if !issuers.Anonymous.Enabled {
			return known
		}
		open = issuers.Anonymous.Conditions
	}
	return unionauthn.NewFailOnError(known, anonymous.NewAuthenticator(open))
}

func frontProxy(caFile string) (*authenticatorfactory.RequestHeaderConfig, error) {
	ca, err := dynamiccertificates.NewDynamicCAContentFromFile("front-proxy-ca", caFile)
	if err != nil {
		return nil, fmt.Errorf("front proxy CA: %w", err)
	}
	return &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider:   ca,
		AllowedClientNames:  headerrequest.StaticStringSlice{config.FrontProxyUser},
		UsernameHeaders:     headerrequest.StaticStringSlice{"X-Remote-User"},
		UIDHeaders:          headerrequest.StaticStringSlice{"X-Remote-Uid"},
		GroupHeaders:        headerrequest.StaticStringSlice{"X-Remote-Group"},
		ExtraHeaderPrefixes: headerrequest.StaticStringSlice{"X-Remote-Extra-"},
	}, nil
}

// authorize sets who may do what. The first that allows decides.
func authorize(cfg *genericapiserver.Config, roles *rbac.Authorizer, nodes *nodeauth.Authorizer) error {
	all, err := union.New(
		union.NamedAuthorizer{AuthorizerName: "masters", Authorizer: authorizerfactory.NewPrivilegedGroups(config.MastersGroup)},
		union.NamedAuthorizer{AuthorizerName: "node", Authorizer: authorizer.AuthorizerFunc(nodes.Authorize)},
		union.NamedAuthorizer{AuthorizerName: "rbac", Authorizer: authorizer.AuthorizerFunc(roles.Authorize)},
	)
	if err != nil {
		return err
	}
	cfg.Authorization.Authorizer = all
	cfg.RuleResolver = roles
	return nil
}

// tokenLeeway is how long a token outlives the end of the grace period of what it is
// bound to.
const tokenLeeway = time.Minute

// bindingExists tells whether the objects that a token is bound to are still there,
// and not held by finalizers only.
func bindingExists(o *objects) tokens.Lookup {
	return func(ctx context.Context, b tokens.Binding) error {
		sa, err := readThrough[*corev1.ServiceAccount](ctx, o.serviceAccounts, b.Namespace, b.ServiceAccount.Name)
		if err := same("service account", err, sa, b.ServiceAccount.UID); err != nil {
			return err
		}
		if b.Pod != nil {
			pod, err := readThrough[*corev1.Pod](ctx, o.pods, b.Namespace, b.Pod.Name)
			if err := same("pod", err, pod, b.Pod.UID); err != nil {
				return err
			}
		}
		if b.Secret != nil {
			secret, err := readThrough[*corev1.Secret](ctx, o.secrets, b.Namespace, b.Secret.Name)
			if err := same("secret", err, secret, b.Secret.UID); err != nil {
				return err
			}
		}
		// A pod's token names its node for information only.
		if b.Node != nil && b.Pod == nil {
			node, err := readThrough[*corev1.Node](ctx, o.nodes, "", b.Node.Name)
			return same("node", err, node, b.Node.UID)
		}
		return nil
	}
}

// same reports that an object could not be read, or is not the one of that UID.
func same(what string, err error, obj metav1.Object, uid string) error {
	if err != nil {
		return err
	}
	if string(obj.GetUID()) != uid {
		return fmt.Errorf("the %s was replaced by another of the same name", what)
	}
	if t := obj.GetDeletionTimestamp(); t != nil && time.Since(t.Time) > tokenLeeway {
		return fmt.Errorf("the %s has been deleted", what)
	}
	return nil
}
